//go:build linux

package load

// Peeks for the tests beside the package.
var (
	Message = message
	Option  = option
)
