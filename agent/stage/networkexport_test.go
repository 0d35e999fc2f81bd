package stage

// NetworkRules returns the ids of the rows that the Network stage judges.
func NetworkRules() (ids []string) {
	for _, rule := range netRules() {
		ids = append(ids, rule.id)
	}

	return ids
}
