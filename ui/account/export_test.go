package account

// Size is how many keys the throttle remembers.
func (t *Throttle) Size() int {
	t.mu.Lock()
	defer t.mu.Unlock()

	return len(t.tries)
}
