package wipeprobe

// MagicText and ParseMagics are for the test of the list.
var (
	MagicText   = magicText
	ParseMagics = parseMagics
)
