package ipmi

import (
	"encoding/binary"
	"fmt"
	"math"
)

// ReadPower asks what the whole machine draws now, in watts (DCMI 1.5 §6.6.1, Get Power
// Reading). NaN: the BMC measures nothing now, or knows no such command.
func ReadPower(bmc BMC) (watts float64, err error) {
	const dcmi, whole, state, active = 0xdc, 18, 17, 1 << 6

	answer, err := ask(bmc, Group, getPower, dcmi, 1, 0, 0)
	if err != nil {
		return math.NaN(), fmt.Errorf("reading the machine's power: %w", err)
	}

	if len(answer) < whole || answer[0] != dcmi || answer[state]&active == 0 {
		return math.NaN(), nil
	}

	if answer[1]|answer[2] == 0 { // a machine that answers draws something
		return math.NaN(), nil
	}

	return float64(binary.LittleEndian.Uint16(answer[1:])), nil
}
