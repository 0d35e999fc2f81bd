package probe

// FEC is the forward error correction of a network port.
type FEC struct {
	// Active is the mode in use: "rs", "baser", "llrs", "off"; empty: the driver does not
	// say, or there is no link.
	Active string   `json:"active,omitempty"`
	Modes  []string `json:"modes,omitempty"` // that may be used, of those
	Auto   bool     `json:"auto,omitempty"`  // the driver chooses among them

	// Corrected and Uncorrectable count blocks since the driver began.
	Corrected     uint64 `json:"corrected,omitempty"`
	Uncorrectable uint64 `json:"uncorrectable,omitempty"`
	Counts        bool   `json:"counts,omitempty"` // the driver counts them
}
