// Package kubetest holds the manifests of deploy/kustomize, the charts of
// deploy/helm and the Kubernetes YAML of the documentation to what they promise. It
// is a module of its own, so that the types of Kubernetes, Kustomize and Helm never
// reach the program.
//
// There is no cluster. What stands in for it:
//
//   - strict decoding: every object is read into the type that its API server would
//     read it into, case by case, and a field that is unknown there is a failure;
//   - lint: names that have to meet do, such as those of ports, volumes, ConfigMaps
//     and selectors; each rule has a test that breaks it;
//   - the program: it is built, and started with the arguments, the environment and
//     the files that a rendered container has. It must take all of them, and serve
//     each path that a probe asks at the port that the probe names.
//
// "make deploy-test" runs it. The tests know the program by what it prints and
// answers; none imports a package of it.
package kubetest
