package gpu

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Radeon is what rocm-smi tells of a GPU.
type Radeon struct {
	Address string // "0000:83:00.0"
	Model   string
	Serial  string
	VBIOS   string
	Replays int     // Unknown: not told
	Power   float64 // NaN: not told
	Limit   float64
}

// ParseROCm reads the output of rocm-smi -a --json (ROCm 4 to 6).
func ParseROCm(text []byte) ([]Radeon, error) {
	if len(text) > MaxOutput {
		return nil, fmt.Errorf("reading rocm-smi: %d bytes are too many", len(text))
	}

	var said map[string]map[string]any
	if err := json.Unmarshal(text, &said); err != nil {
		return nil, fmt.Errorf("reading rocm-smi: %w", err)
	}

	var cards []Radeon

	for _, name := range slices.Sorted(maps.Keys(said)) {
		if !strings.HasPrefix(name, "card") {
			continue // "system"
		}

		tells := func(keys ...string) string {
			for _, key := range keys {
				if text, ok := said[name][key].(string); ok && word(text) != "" {
					return word(text)
				}
			}

			return ""
		}

		at := address(tells("PCI Bus"))
		if at == "" || len(cards) == maxCards {
			return nil, fmt.Errorf("reading rocm-smi: %.40q has no address, or there are too many", name)
		}

		cards = append(cards, Radeon{
			Address: at, Model: tells("Card series", "Card Series", "Card model"), Serial: tells("Serial Number"), VBIOS: tells("VBIOS version"),
			Replays: whole(replays(said[name])),
			Power:   amount(tells("Average Graphics Package Power (W)", "Current Socket Graphics Package Power (W)"), "W"),
			Limit:   amount(tells("Max Graphics Package Power (W)"), "W"),
		})
	}

	if len(cards) == 0 {
		return nil, errors.New("reading rocm-smi: it tells of no card")
	}

	return cards, nil
}

// replays is told as a text, whose 0 is a number and not nothing.
func replays(card map[string]any) string {
	text, _ := card["PCIe Replay Count"].(string)

	return text
}
