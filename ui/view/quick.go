package view

// QuickLine is a line for people to paste on an installed machine.
type QuickLine struct {
	For  string // which machines: "machines on the test network"
	Line string
}
