package cache

// guards is a set of the checks that keep the protocol right. In the product
// none is ever off; the tests switch them off one at a time, to show that the
// failure each one prevents does appear without it.
type guards uint16

const (
	guardReplay      guards = 1 << iota // kept changes are replayed over the rows
	guardNewest                         // a change that does not fit the rows fails the load
	guardGap                            // a change that skips a version kills the page
	guardEpoch                          // the epoch is compared after the query
	guardEpochTag                       // changes of another epoch are not replayed
	guardIdentity                       // rows of another server are refused
	guardDigest                         // digest and size are compared after a step
	guardEqualDigest                    // …and when the version is the same
	guardSwap                           // a page that was evicted meanwhile stays out
	guardReconcile                      // the accountant compares slot and ristretto
	guardPassed                         // a sample is judged when the feed has passed its read
	guardStill                          // …and only what did not move meanwhile
)

func (g guards) has(any guards) bool { return g&any != 0 }
