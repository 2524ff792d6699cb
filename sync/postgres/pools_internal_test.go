package postgres

// Share makes a store use the connections of its page reads for everything, as if
// it had one pool. It shows what the pools are for. The function it returns undoes
// that.
func Share(s *Store) (undo func()) {
	reads, polls := s.reads, s.polls
	s.reads, s.polls = s.loads, s.loads
	return func() { s.reads, s.polls = reads, polls }
}
