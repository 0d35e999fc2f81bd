package stage

// StorageRules returns the ids of the rows that the Storage stage judges.
func StorageRules() (ids []string) {
	for _, rule := range storageRules() {
		ids = append(ids, rule.id)
	}

	return ids
}
