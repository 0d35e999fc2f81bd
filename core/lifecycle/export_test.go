package lifecycle

// Pairs lists "state event" for each pair of the table, row by row.
func Pairs() (all []string) {
	for _, r := range table() {
		for _, s := range r.from {
			all = append(all, string(s)+" "+string(r.event))
		}
	}

	return all
}
