package cpu

// repeatMove copies len(from) bytes by REP MOVSB.
//
//go:noescape
func repeatMove(to, from []byte)

func repeatFast(f Features) []Variant {
	if !f.Repeat {
		return nil
	}

	return []Variant{{Name: "erms", Lanes: 1, New: func() Block { return moveBlock(repeatMove) }}}
}
