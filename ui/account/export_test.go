package account

// Size is how many keys the throttle remembers.
func (t *Throttle) Size() int {
	t.mu.Lock()
	defer t.mu.Unlock()

	return len(t.tries)
}

// Code is code.
func Code(key []byte, step int64) string { return code(key, step) }
