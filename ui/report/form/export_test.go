package form

// Validators is validators.
func Validators(limit string) any { return validators(limit) }
