package stage

// PSURules returns the ids of the rows that the PSU stage judges.
func PSURules() (ids []string) {
	for _, rule := range psuRules() {
		ids = append(ids, rule.id)
	}

	return ids
}
