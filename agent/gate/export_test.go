package gate

// Text, Prose and Elements are what every string and body of a machine goes
// through; they are fuzzed by themselves.
func Text(s string, limit int) string  { return text(s, limit) }
func Prose(s string, limit int) string { return prose(s, limit) }
func Elements(body []byte) int         { return elements(body) }

// CoreInventory is what the appliance reads of an inventory.
var CoreInventory = inventory
