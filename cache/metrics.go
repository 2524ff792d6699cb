package cache

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the cache's figures. One value serves one cache.
type Metrics struct {
	evictions        prometheus.Counter
	rejectedSets     prometheus.Counter
	reconciled       prometheus.Counter
	unpublished      prometheus.Counter
	loadDuration     prometheus.Histogram
	loadErrors       prometheus.Counter
	loadsShed        [causes]prometheus.Counter
	preloadErrors    prometheus.Counter
	preloadPages     prometheus.Counter
	warmReread       prometheus.Counter
	preloaded        prometheus.Gauge
	applied          prometheus.Counter
	gaps             prometheus.Counter
	digestMismatches prometheus.Counter
	inventory        *inventory
}

// NewMetrics registers the cache's figures.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "sidegate", Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	m := &Metrics{
		evictions: counter("cache_evictions_total",
			"Pages that ristretto had cleared out of memory. Rising steadily: the budget is smaller than what is asked for."),
		rejectedSets: counter("cache_rejected_sets_total",
			"Bookings that ristretto dropped; each is repeated. More than a few: its worker is starved."),
		reconciled: counter("cache_reconciled_total",
			"Pages found reachable but unpaid, or paid but gone, and put right. A few are normal under eviction."),
		unpublished: counter("cache_unpublished_pages_total",
			"Pages that were read and answered from but not kept, because too much was unaccounted for at the time."),
		loadErrors: counter("load_errors_total",
			"Page reads that ended without a page. Checks that needed them were unknown."),
		preloadErrors: counter("preload_errors_total",
			"Attempts to learn how much there is to load ahead that failed."),
		preloadPages: counter("cache_preload_pages_total",
			"Pages read before anybody asked for them, or again because following had started over."),
		warmReread: counter("cache_warm_reread_pages_total",
			"Pages of the warm file whose headers in the database were others when they were compared, read again. A few are normal under writes; many: the database was changed behind its log while no process ran."),
		applied: counter("sync_events_total",
			"Changes handed to the cache, by the feed and by own writes."),
		gaps: counter("sync_gaps_total",
			"Changes that did not follow the version in memory; the page was dropped and is read again."),
		digestMismatches: counter("digest_mismatches_total",
			"Lists whose content did not have the digest that it should. Any means a bug or a database changed behind its triggers."),
		loadDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "sidegate", Name: "load_duration_seconds",
			Help:                        "Time of one page read in the database.",
			Buckets:                     prometheus.ExponentialBuckets(0.0005, 2, 12),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
			NativeHistogramMinResetDuration: time.Hour,
		}),
		preloaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "sidegate", Name: "cache_preload_timestamp_seconds",
			Help: "When the last walk that loads ahead and re-reads suspect pages was complete; 0 = not yet.",
		}),
		inventory: newInventory(),
	}
	reg.MustRegister(m.loadDuration, m.preloaded, m.inventory)
	m.countShed(reg)
	return m
}

func (m *Metrics) countShed(reg prometheus.Registerer) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sidegate", Name: "loads_shed_total",
		Help: "Page reads refused at once, by cause: rate (more than sidegate_load_rate_limit allows), queue (too many waited), " +
			"late (its turn would have come too late). Any: the database is slow or the budget far too small.",
	}, []string{"cause"})
	reg.MustRegister(refused)
	for why, name := range causeNames {
		m.loadsShed[why] = refused.WithLabelValues(name)
	}
}

func (m *Metrics) observe(c *Cache) { m.inventory.cache = c }

// inventory counts what is in memory when it is asked, at most once a second:
// it visits every slot.
type inventory struct {
	cache *Cache

	mu   sync.Mutex
	when time.Time
	last Stats

	requests, hits, pages, suspect, cost, capacity, blocks, sets, preload, rate, waiting *prometheus.Desc
}

func newInventory() *inventory {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("sidegate_"+name, help, nil, nil)
	}
	return &inventory{
		requests: desc("cache_requests_total", "Lists that decisions asked for; what is not a hit was read from Postgres or was unknown."),
		hits:     desc("cache_hits_total", "Lists asked for whose page was in memory; owners without a list count."),
		pages:    desc("cache_pages", "Pages that are in memory now."),
		suspect:  desc("cache_suspect_pages", "Pages of an earlier epoch, answered from by their own age until read again."),
		cost:     desc("cache_cost_bytes", "Bytes of what is kept in memory: pages, what ristretto adds to each, its counters, the directory."),
		capacity: desc("cache_capacity_bytes", "The byte budget of all that is kept, cache.max_bytes."),
		blocks:   desc("blocks", "Entries of all lists in memory."),
		preload:  desc("cache_preload_ratio", "Share of the pages to be held in memory that are there and current; 1 when loading ahead is done, or when the lists do not fit."),
		rate:     desc("load_rate_limit", "Page reads that may begin a second now: cache.load_rate while reads are quick, less while they are slow or fail."),
		waiting:  desc("loads_waiting", "Page reads that wait for their turn now; at most cache.load_queue."),
		sets:     desc("block_sets", "Lists in memory that have a version; owners who never had a list are not counted."),
	}
}

// Describe implements prometheus.Collector.
func (i *inventory) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{i.requests, i.hits, i.pages, i.suspect, i.cost, i.capacity, i.blocks, i.sets, i.preload, i.rate, i.waiting} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (i *inventory) Collect(ch chan<- prometheus.Metric) {
	if i.cache == nil {
		return
	}
	s := i.stats()
	counter := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	hits, misses := i.cache.reads.sum()
	counter(i.requests, hits+misses)
	counter(i.hits, hits)
	gauge(i.pages, s.Pages)
	gauge(i.suspect, s.SuspectPages)
	gauge(i.cost, s.Bytes)
	gauge(i.capacity, i.cache.opts.MaxBytes)
	gauge(i.blocks, s.Entries)
	gauge(i.sets, s.Lists)
	rate, waiting := i.cache.gate.state()
	gauge(i.waiting, int64(waiting))
	ch <- prometheus.MustNewConstMetric(i.rate, prometheus.GaugeValue, rate)
	ch <- prometheus.MustNewConstMetric(i.preload, prometheus.GaugeValue, i.cache.keeper.progress())
}

func (i *inventory) stats() Stats {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.when.IsZero() || time.Since(i.when) > time.Second {
		i.last, i.when = i.cache.Stats(), time.Now()
	}
	return i.last
}

// Stats is a count of what is in memory.
type Stats struct {
	Pages        int64 `json:"pages"`
	SuspectPages int64 `json:"suspect_pages"` // of an earlier epoch
	Bytes        int64 `json:"bytes"`         // of the pages, ristretto's share and the slots
	MaxBytes     int64 `json:"max_bytes"`     // the budget
	Lists        int64 `json:"lists"`         // with a version
	Entries      int64 `json:"entries"`
	Slots        int64 `json:"slots"` // pages there could be
	Hits         int64 `json:"hits"`
	Misses       int64 `json:"misses"`
}

// Stats visits every slot and counts. It takes no lock; what changes meanwhile
// may or may not be counted.
func (c *Cache) Stats() Stats {
	hits, misses := c.reads.sum()
	s := Stats{MaxBytes: c.opts.MaxBytes, Hits: int64(hits), Misses: int64(misses)}
	epoch := c.epochNow()
	for _, d := range c.spaces() {
		one := d.stats(epoch)
		s.Slots += one.Slots
		s.Pages += one.Pages
		s.Bytes += one.Bytes
		s.Lists += one.Lists
		s.Entries += one.Entries
		s.SuspectPages += one.SuspectPages
	}
	s.Bytes += countersBytes(c.opts.MaxBytes)
	return s
}

// stats counts what one directory holds.
func (d *Directory) stats(epoch uint64) (s Stats) {
	defer func() { s.Bytes += (s.Slots - s.Pages) * slotBytes }() // a page's is in its bytes
	for i := range d.shards {
		t := d.shards[i].table.Load()
		s.Slots += int64(len(t.slots))
		for j := range t.slots {
			p := t.slots[j].Load()
			if p == nil {
				continue
			}
			s.Pages++
			s.Bytes += p.bytes + ristrettoBytes
			s.Lists += int64(p.lists)
			s.Entries += int64(p.entries)
			if p.epoch != epoch {
				s.SuspectPages++
			}
		}
	}
	return s
}
