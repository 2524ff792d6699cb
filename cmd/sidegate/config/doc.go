// Package config reads sidegate's configuration: a flag wins over the
// environment, the environment over the file, the file over the default.
//
// One table ([Keys]) names every key with its type, its default, its variable,
// its flag and whether a reload applies it. Loading, the search for the nearest
// known key, the printed configuration, the reference page, the JSON Schema and
// [Config.Next] are all made from it, so that none of them can disagree with
// another. A key that holds a secret has a sibling that names a file with it.
//
// Nothing is guessed. An unknown key or variable, a value of another type and
// two settings that contradict each other are refused together, each with its
// place and with what would be right: a typing error must never leave a sidecar
// running with another policy than the one that was meant.
//
// Secrets (tokens, passwords, app secrets) appear neither in an error nor in
// what [Config.YAML], [Config.JSON] and [Config.Env] print.
package config
