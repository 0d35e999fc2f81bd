package disk

// Sense is decoded sense data (SPC-5 §4.4), descriptor or fixed format.
type Sense struct {
	Key  byte
	ASC  byte
	ASCQ byte
	ATA  *ATAReply // registers, when the sense carries them (SAT-4 §12.2.2.7)

	Progress    uint16 // of what is under way, in parts of 65536, when HasProgress
	HasProgress bool
}

// ParseSense decodes sense data; bytes that are no sense data give a zero Sense.
func ParseSense(b []byte) Sense {
	if len(b) < 4 {
		return Sense{}
	}

	switch b[0] & 0x7f {
	case 0x72, 0x73:
		return parseDescriptorSense(b)
	case 0x70, 0x71:
		return parseFixedSense(b)
	default:
		return Sense{}
	}
}

func parseDescriptorSense(b []byte) Sense {
	sense := Sense{Key: b[1] & 0x0f, ASC: b[2], ASCQ: b[3]}

	for at := 8; at+2 <= len(b); {
		length := int(b[at+1]) + 2
		if b[at] == 0x02 && at+8 <= len(b) {
			sense.progress(b[at+4:])
		}

		if b[at] == 0x09 && length >= 14 && at+14 <= len(b) {
			d := b[at:]
			sense.ATA = &ATAReply{
				Error: d[3], Count: d[5], Status: d[13],
				LBA:  uint32(d[7]) | uint32(d[9])<<8 | uint32(d[11])<<16,
				High: uint32(d[6]) | uint32(d[8])<<8 | uint32(d[10])<<16,
			}
		}

		at += length
	}

	return sense
}

func parseFixedSense(b []byte) Sense {
	sense := Sense{Key: b[2] & 0x0f}
	if len(b) < 14 {
		return sense
	}

	sense.ASC, sense.ASCQ = b[12], b[13]

	if len(b) >= 18 {
		sense.progress(b[15:])
	}

	// "ATA pass-through information available" in fixed format: SAT-4 table 211.
	if sense.ASC == 0x00 && sense.ASCQ == 0x1d {
		sense.ATA = &ATAReply{
			Error: b[3], Status: b[4], Count: b[6],
			LBA: uint32(b[9]) | uint32(b[10])<<8 | uint32(b[11])<<16,
		}
	}

	return sense
}

// progress decodes the sense key specific bytes, which are a progress for the keys NO
// SENSE and NOT READY (SPC-5 §4.4.2.4.4).
func (s *Sense) progress(b []byte) {
	if b[0]&0x80 != 0 && (s.Key == 0 || s.Key == 2) {
		s.Progress, s.HasProgress = uint16(b[1])<<8|uint16(b[2]), true
	}
}
