package probe

// The memory of a module by CMIS 5.2 (QSFP-DD, OSFP, SFP-DD, QSFP56) as it is kept here:
// the lower page, then the upper pages 00h, 01h, 02h, 10h and 11h of bank 0, which is the
// order in which older drivers showed all of it at once; then, of modules with more than
// eight lanes, the pages 10h and 11h of each further bank.
const (
	cmisPage   = 128
	cmisFlat   = 2 * cmisPage // of modules without more pages
	cmisLength = 6 * cmisPage

	cmisPage00 = 1*cmisPage - cmisPage // offset of an address of that page, which begin at 128
	cmisPage01 = 2*cmisPage - cmisPage
	cmisPage02 = 3*cmisPage - cmisPage
	cmisPage11 = 5*cmisPage - cmisPage

	cmisLanes   = 8            // of a bank
	cmisBank    = 2 * cmisPage // of a further bank: pages 10h and 11h
	cmisMost    = 4            // banks
	cmisBanksAt = cmisPage01 + 142
)

// isCMIS reports whether the first byte of a memory is of a kind that has CMIS.
func isCMIS(kind byte) bool {
	switch kind {
	case kindQSFPDD, kindOSFP, kindSFPDD, kindQSFPp22:
		return true
	default:
		return false
	}
}

// hasPages reports whether a module has more pages than the first two (byte 2, bit 7).
func hasPages(b []byte) bool { return b[2]&0x80 == 0 }

// cmisBanks is how many banks of eight lanes a module has (page 01h, byte 142).
func cmisBanks(b []byte) int {
	if len(b) < cmisLength || !hasPages(b) {
		return 1
	}

	switch b[cmisBanksAt] & 3 {
	case 1:
		return 2
	case 2:
		return cmisMost
	default:
		return 1
	}
}

// lanePages are where the addresses of page 11h begin in each bank that was read.
func lanePages(b []byte) []int {
	at := []int{cmisPage11}
	for bank := 1; bank < cmisBanks(b) && len(b) >= cmisLength+bank*cmisBank; bank++ {
		at = append(at, cmisLength+(bank-1)*cmisBank) // page 10h is before it
	}

	return at
}

// readCMIS decodes what a module measures of itself, as far as it says that it does
// (page 01h, bytes 159 and 160), with its maker's limits (page 02h). Lanes that the module
// does not have, or that carry nothing, tell nothing.
func readCMIS(b []byte) []Reading {
	const (
		heat, voltage          = 1 << 0, 1 << 1 // byte 159
		bias, transmit, listen = 1 << 0, 1 << 1, 1 << 2
		biasScale              = 3 // byte 160, from this bit on: 1, 2 or 4 times 2 µA
	)

	if len(b) < cmisLength || !hasPages(b) {
		return nil
	}

	module, lane := b[cmisPage01+159], b[cmisPage01+160]

	var all []quantity

	add := func(told bool, q quantity) {
		if told {
			all = append(all, q)
		}
	}

	add(module&heat != 0, quantity{"temperature", "°C", 14, cmisPage02 + 128, 0, celsius, true})
	add(module&voltage != 0, quantity{"supply voltage", "V", 16, cmisPage02 + 136, 0, volt, false})

	readings := read(b, all, every)
	missing := b[cmisPage00+210] // a bit for each lane of the medium that is not there

	for bank, page11 := range lanePages(b) {
		if !carries(b, page11) {
			continue
		}

		all = nil
		factor := []float64{1, 2, 4, 0}[lane>>biasScale&3]

		add(lane&listen != 0, quantity{"receive power", "mW", page11 + 186, cmisPage02 + 192, cmisLanes, milliwatt, false})
		add(lane&bias != 0 && factor > 0, quantity{"laser bias", "mA", page11 + 170, cmisPage02 + 184, cmisLanes, milliamp * factor, false})
		add(lane&transmit != 0, quantity{"transmit power", "mW", page11 + 154, cmisPage02 + 176, cmisLanes, milliwatt, false})

		there := every
		if bank == 0 { // of the others it does not say
			there = func(lane int) bool { return missing>>lane&1 == 0 }
		}

		readings = append(readings, readFrom(b, all, bank*cmisLanes, there)...)
	}

	return readings
}

// carries reports whether a module is ready, and lanes of a bank are in use: what it
// measures of them else is of a laser that rests.
func carries(b []byte, page11 int) bool {
	const ready = 3

	if b[3]>>1&7 != ready {
		return false
	}

	for lane := range cmisLanes {
		if activated(b, page11, lane) {
			return true
		}
	}

	return false
}

// activated reports whether the data path of a lane is in use (page 11h, bytes 128 to 131).
func activated(b []byte, page11, lane int) bool {
	const active = 4

	return b[page11+128+lane/2]>>(lane%2*4)&0xf == active
}
