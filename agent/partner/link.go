package partner

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ReadLink reads what a network card is and has moved; what it does not tell is zero.
// folder is /sys/class/net.
func ReadLink(folder, name string) Link {
	number := func(file string) uint64 {
		text, err := os.ReadFile(filepath.Join(folder, name, file))
		if err != nil {
			return 0
		}

		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 63)
		if err != nil { // -1: the card does not know its speed
			return 0
		}

		return n
	}

	return Link{Mbps: int(number("speed")), Rx: number("statistics/rx_bytes"), Tx: number("statistics/tx_bytes")}
}
