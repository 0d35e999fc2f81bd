package stage

// MemoryRules returns the ids of the rows that the Memory stage judges.
func MemoryRules() (ids []string) {
	for _, rule := range memoryRules() {
		ids = append(ids, rule.id)
	}

	return ids
}
