package probe

import "encoding/binary"

// Flag is something that a transceiver says of a signal. Those of SFF-8636 and CMIS are
// latched: they tell of any moment since they were read before, which clears them. Those of
// SFF-8472 are of the moment.
type Flag struct {
	What  string // "no received signal"
	Lane  int    // 0: the module has one
	Fault bool   // of the transceiver itself; else of a signal that it gets
}

// What flags tell.
const (
	transmitFault = "transmit fault"
	moduleFault   = "module fault"
	rxSignal      = "no received signal"
	rxLock        = "no lock on the received signal"
	txSignal      = "no signal to send"
	txLock        = "no lock on the signal to send"
)

// flagged is a byte of flags, a bit for each lane from a bit on.
type flagged struct {
	told bool // the module has them
	at   int
	from int
	what string
	beam int // 16 bits for each lane that are zero where it is not in use; 0: nobody knows
}

// ParseFlags decodes what a module says of its signals: SFF-8472 for SFP, SFF-8636 for
// QSFP, CMIS for the later kinds. Lanes that are not in use tell nothing.
func ParseFlags(b []byte) []Flag {
	const (
		sfpStatus  = sfpDiagnostics + 110
		sfpOptions = 93

		qsfpOptions3, qsfpOptions4 = 194, 195
		qsfpReceived, qsfpBias     = 34, 42
	)

	if len(b) == 0 {
		return nil
	}

	switch b[0] {
	case kindSFP:
		const measures, softFault, softLoss = 1 << 6, 1 << 5, 1 << 4

		if len(b) < sfpLength || b[92]&measures == 0 {
			return nil
		}

		return flagsOf(b, 0, 1, every, []flagged{
			{b[sfpOptions]&softFault != 0, sfpStatus, 2, transmitFault, 0}, {b[sfpOptions]&softLoss != 0, sfpStatus, 1, rxSignal, 0},
		})
	case kindQSFP, kindQSFPp, kindQSFP28:
		const (
			txLoses, rxLoses = 1 << 5, 1 << 4 // the lock, in byte 194
			fault, loses     = 1 << 3, 1 << 1 // the signal, in byte 195
		)

		if len(b) < 2*cmisPage {
			return nil
		}

		locks, signals := b[qsfpOptions3], b[qsfpOptions4]

		return flagsOf(b, 0, 4, every, []flagged{
			{signals&fault != 0, 4, 0, transmitFault, qsfpBias},
			{signals&loses != 0, 3, 0, rxSignal, qsfpReceived},
			{signals&loses != 0, 3, 4, txSignal, qsfpBias},
			{locks&rxLoses != 0, 5, 0, rxLock, qsfpReceived},
			{locks&txLoses != 0, 5, 4, txLock, qsfpBias},
		})
	case kindQSFPDD, kindOSFP, kindSFPDD, kindQSFPp22:
		return flagsOfCMIS(b)
	default:
		return nil
	}
}

// flagsOfCMIS reads those that a module says that it has (page 01h, bytes 157 and 158) of
// the lanes whose data path is in use (page 11h), and the state of the module.
func flagsOfCMIS(b []byte) (flags []Flag) {
	const (
		broken                      = 5 // state of the module
		fault, txLoses, txLockLoses = 1 << 0, 1 << 1, 1 << 2
		rxLoses, rxLockLoses        = 1 << 1, 1 << 2
	)

	if len(b) < cmisLength || !hasPages(b) {
		return nil
	}

	if b[3]>>1&7 == broken {
		flags = append(flags, Flag{moduleFault, 0, true})
	}

	tx, rx := b[cmisPage01+157], b[cmisPage01+158]

	for bank, page := range lanePages(b) {
		flags = append(flags, flagsOf(b, bank*cmisLanes, cmisLanes, func(lane int) bool { return activated(b, page, lane) }, []flagged{
			{tx&fault != 0, page + 135, 0, transmitFault, 0},
			{tx&txLoses != 0, page + 136, 0, txSignal, 0},
			{tx&txLockLoses != 0, page + 137, 0, txLock, 0},
			{rx&rxLoses != 0, page + 147, 0, rxSignal, 0},
			{rx&rxLockLoses != 0, page + 148, 0, rxLock, 0},
		})...)
	}

	return flags
}

// flagsOf reads bytes of flags. first is the number of the first lane; a module of one lane
// gives it none.
func flagsOf(b []byte, first, lanes int, used func(lane int) bool, all []flagged) (flags []Flag) {
	for _, f := range all {
		if !f.told {
			continue
		}

		beams := 0

		for lane := range lanes {
			if f.beam > 0 && binary.BigEndian.Uint16(b[f.beam+2*lane:]) > 0 {
				beams++
			}
		}

		for lane := range lanes {
			rests := beams > 0 && binary.BigEndian.Uint16(b[f.beam+2*lane:]) == 0 // it belongs to another port, or to none
			if b[f.at]>>(f.from+lane)&1 == 0 || rests || !used(lane) {
				continue
			}

			number := first + lane + 1
			if lanes == 1 {
				number = 0
			}

			flags = append(flags, Flag{f.what, number, f.what == transmitFault})
		}
	}

	return flags
}
