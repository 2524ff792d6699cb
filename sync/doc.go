// Package blocksync (the folder is called sync, after what it does; the name
// sync stays with the standard library) keeps a [cache.Cache] equal to the
// database: it follows the change feed and tells the cache what changed, how
// fresh it is, and when to distrust everything. An [Auditor] compares what came of
// that with the database, all the time.
package blocksync
