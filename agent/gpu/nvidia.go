package gpu

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// MaxOutput bounds what a tool may write. nvidia-smi writes about 120 kB for a GPU that
// lists its clocks.
const MaxOutput = 16 << 20

// maxCards bounds the GPUs of one machine.
const maxCards = 64

// Unknown is a number that a GPU does not tell ("N/A").
const Unknown = -1

// Card is what nvidia-smi tells of a GPU. Numbers that it does not tell are Unknown,
// and temperatures and powers NaN.
type Card struct {
	Address string // "0000:01:00.0", as the kernel writes it
	Model   string
	Serial  string // empty where the board has none
	UUID    string
	VBIOS   string
	Driver  string
	ECC     bool // is on

	Width, MaxWidth int // lanes
	Gen, MaxGen     int // of the link; the most that GPU and slot can do together
	Replays         int // of packets on the link, since the driver was loaded

	Volatile  ECC // since the driver was loaded
	Aggregate ECC // of its life

	SRAMThreshold bool // too many uncorrectable errors of SRAM: to be replaced

	RetiredPages   int // sum of both causes
	RetirePending  bool
	RemapPending   bool
	RemapFailure   bool
	RemappedRows   int
	ResetRequired  bool
	RecoveryAction string // "None", "Reset", …; empty: not told

	Slowdown    []string // hardware reasons to slow down that are active now
	Temperature float64  // celsius
	Headroom    float64  // to the temperature at which it slows down
	Power       float64  // watts
	PowerLimit  float64
}

// ECC counts errors of memory.
type ECC struct{ Corrected, Uncorrected int }

// log is the output of nvidia-smi -q -x: those elements of its DTDs v11 to v13 that are
// looked at.
type smiLog struct {
	XMLName xml.Name `xml:"nvidia_smi_log"`
	Driver  string   `xml:"driver_version"`
	Count   string   `xml:"attached_gpus"`
	GPUs    []smiGPU `xml:"gpu"`
}

type smiGPU struct {
	ID       string `xml:"id,attr"`
	Name     string `xml:"product_name"`
	Serial   string `xml:"serial"`
	UUID     string `xml:"uuid"`
	VBIOS    string `xml:"vbios_version"`
	ECC      string `xml:"ecc_mode>current_ecc"`
	Recovery string `xml:"gpu_recovery_action"`
	Reset    string `xml:"gpu_reset_status>reset_required"`

	Gen      string `xml:"pci>pci_gpu_link_info>pcie_gen>current_link_gen"`
	MaxGen   string `xml:"pci>pci_gpu_link_info>pcie_gen>max_link_gen"`
	Width    string `xml:"pci>pci_gpu_link_info>link_widths>current_link_width"`
	MaxWidth string `xml:"pci>pci_gpu_link_info>link_widths>max_link_width"`
	Replays  string `xml:"pci>replay_counter"`

	Events    smiReasons `xml:"clocks_event_reasons"`
	Throttles smiReasons `xml:"clocks_throttle_reasons"` // its name before driver 535

	Volatile  smiECC `xml:"ecc_errors>volatile"`
	Aggregate smiECC `xml:"ecc_errors>aggregate"`

	Single        string `xml:"retired_pages>multiple_single_bit_retirement>retired_count"`
	Double        string `xml:"retired_pages>double_bit_retirement>retired_count"`
	RetirePending string `xml:"retired_pages>pending_retirement"`
	Blacklist     string `xml:"retired_pages>pending_blacklist"`

	RemapCorrected   string `xml:"remapped_rows>remapped_row_corr"`
	RemapUncorrected string `xml:"remapped_rows>remapped_row_unc"`
	RemapPending     string `xml:"remapped_rows>remapped_row_pending"`
	RemapFailure     string `xml:"remapped_rows>remapped_row_failure"`

	Temperature string `xml:"temperature>gpu_temp"`
	SlowAt      string `xml:"temperature>gpu_temp_slow_threshold"`
	Margin      string `xml:"temperature>gpu_temp_tlimit"`                // degrees to its limit, newer GPUs
	SlowMargin  string `xml:"temperature>gpu_temp_slow_tlimit_threshold"` // at this margin it slows down

	Draw      string `xml:"gpu_power_readings>power_draw"`
	Instant   string `xml:"gpu_power_readings>instant_power_draw"`
	Limit     string `xml:"gpu_power_readings>current_power_limit"`
	OldDraw   string `xml:"power_readings>power_draw"` // before driver 530
	OldLimit  string `xml:"power_readings>power_limit"`
	OldLimit2 string `xml:"power_readings>enforced_power_limit"`
}

type smiECC struct {
	SRAMCorrected string `xml:"sram_correctable"`
	SRAM          string `xml:"sram_uncorrectable"`
	SRAMParity    string `xml:"sram_uncorrectable_parity"` // these two in place of it from v13 on
	SRAMSecded    string `xml:"sram_uncorrectable_secded"`
	DRAMCorrected string `xml:"dram_correctable"`
	DRAM          string `xml:"dram_uncorrectable"`
	Single        string `xml:"single_bit>total"` // GPUs before Turing
	Double        string `xml:"double_bit>total"`
	Threshold     string `xml:"sram_threshold_exceeded"`
}

type smiReasons struct {
	Reasons []struct {
		XMLName xml.Name
		State   string `xml:",chardata"`
	} `xml:",any"`
}

// ParseSMI reads the output of nvidia-smi -q -x.
func ParseSMI(text []byte) ([]Card, error) {
	if len(text) > MaxOutput {
		return nil, fmt.Errorf("reading nvidia-smi: %d bytes are too many", len(text))
	}

	var said smiLog

	decoder := xml.NewDecoder(bytes.NewReader(text))
	decoder.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it writes ASCII

	if err := decoder.Decode(&said); err != nil {
		return nil, fmt.Errorf("reading nvidia-smi: %w", err)
	}

	if count := whole(said.Count); len(said.GPUs) > maxCards || count != Unknown && count != len(said.GPUs) {
		return nil, fmt.Errorf("reading nvidia-smi: it tells of %q GPUs and describes %d", said.Count, len(said.GPUs))
	}

	cards := make([]Card, len(said.GPUs))
	for i := range said.GPUs {
		if cards[i] = said.GPUs[i].card(); cards[i].Address == "" {
			return nil, errors.New("reading nvidia-smi: a GPU has no address")
		}

		cards[i].Driver = word(said.Driver)
	}

	return cards, nil
}

// AfterSMI returns what nvidia-smi writes behind its XML: "WARNING: infoROM is corrupted at
// gpu 0000:01:00.0".
func AfterSMI(text []byte) string {
	_, rest, _ := bytes.Cut(text, []byte("</nvidia_smi_log>"))

	return word(strings.Join(strings.Fields(string(rest[:min(len(rest), maxWords)])), " "))
}

func (g *smiGPU) card() Card {
	c := Card{
		Address: address(g.ID), Model: word(g.Name), Serial: word(g.Serial), UUID: word(g.UUID), VBIOS: word(g.VBIOS), ECC: yes(g.ECC),
		Width: whole(strings.TrimSuffix(g.Width, "x")), MaxWidth: whole(strings.TrimSuffix(g.MaxWidth, "x")), Gen: whole(g.Gen), MaxGen: whole(g.MaxGen),
		Replays: whole(g.Replays), Volatile: g.Volatile.ecc(), Aggregate: g.Aggregate.ecc(), SRAMThreshold: yes(g.Aggregate.Threshold),
		RetiredPages: sum(g.Single, g.Double), RetirePending: yes(g.RetirePending) || yes(g.Blacklist),
		RemapPending: yes(g.RemapPending), RemapFailure: yes(g.RemapFailure), RemappedRows: sum(g.RemapCorrected, g.RemapUncorrected),
		ResetRequired: yes(g.Reset), RecoveryAction: word(g.Recovery),
		Temperature: amount(g.Temperature, "C"), Power: first(amount(g.Instant, "W"), amount(g.Draw, "W"), amount(g.OldDraw, "W")),
		PowerLimit: first(amount(g.Limit, "W"), amount(g.OldLimit2, "W"), amount(g.OldLimit, "W")),
	}

	c.Headroom = first(amount(g.SlowAt, "C")-c.Temperature, amount(g.Margin, "C")-amount(g.SlowMargin, "C"))

	for _, reasons := range []smiReasons{g.Events, g.Throttles} {
		for _, r := range reasons.Reasons {
			_, name, hardware := strings.Cut(r.XMLName.Local, "_reason_hw_")
			if hardware && strings.TrimSpace(r.State) == "Active" {
				c.Slowdown = append(c.Slowdown, "hw_"+name)
			}
		}
	}

	return c
}

func (e *smiECC) ecc() ECC {
	return ECC{
		Corrected:   sum(e.SRAMCorrected, e.DRAMCorrected, e.Single),
		Uncorrected: sum(e.SRAM, e.SRAMParity, e.SRAMSecded, e.DRAM, e.Double),
	}
}

// address turns "00000000:01:00.0" into "0000:01:00.0", the kernel's own form.
func address(id string) string {
	domain, rest, ok := strings.Cut(strings.ToLower(strings.TrimSpace(id)), ":")
	n, err := strconv.ParseUint(domain, 16, 32)

	if !ok || err != nil || strings.Trim(rest, "0123456789abcdef:.") != "" || len(rest) != len("01:00.0") {
		return ""
	}

	return fmt.Sprintf("%04x:%s", n, rest)
}

// word is what a GPU tells of itself, without the words by which it tells nothing.
func word(s string) string {
	const most = 128

	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}

		return r
	}, s))

	if s == "N/A" || strings.HasPrefix(s, "[") || strings.HasPrefix(s, "Unknown") || strings.Contains(s, "deprecated") || strings.Trim(s, "0") == "" {
		return ""
	}

	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

func yes(s string) bool {
	s = strings.TrimSpace(s)

	return s == "Yes" || s == "Enabled" || s == "Active"
}

func whole(s string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 62)
	if err != nil {
		return Unknown
	}

	return int(min(n, math.MaxInt32)) //nolint:gosec // bounded
}

// sum adds what is told; Unknown when nothing is.
func sum(words ...string) int {
	total, told := 0, false

	for _, w := range words {
		if n := whole(w); n != Unknown {
			total, told = min(total+n, math.MaxInt32), true
		}
	}

	if !told {
		return Unknown
	}

	return total
}

// amount reads "67.03 W".
func amount(s, unit string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), unit)), 64)
	if err != nil || math.IsInf(v, 0) {
		return math.NaN()
	}

	return v
}

func first(values ...float64) float64 {
	for _, v := range values {
		if !math.IsNaN(v) {
			return v
		}
	}

	return math.NaN()
}
