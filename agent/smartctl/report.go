package smartctl

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vetting/agent/disk"
)

var (
	// errNoDisk means that smartctl could not open the disk.
	errNoDisk = errors.New("no disk answers")
	// errSilent means that it could, and the disk does not say who it is.
	errSilent = errors.New("the disk does not answer")
)

// Report is what smartctl says of a disk.
type Report struct {
	ATA    bool // else SCSI
	Model  string
	Serial string
	Bytes  uint64
	RPM    int // 0: flash

	Told    bool // whether it is healthy
	Healthy bool

	Celsius    int    // 0: not told
	Hours      uint64 // 0: not told
	Cycles     uint64
	Attributes []disk.Attribute // of ATA

	Grown       *uint64 // SCSI: defects
	Uncorrected *uint64
	Used        *int // per cent of its life

	SelfTests    bool
	ShortMinutes int // 0: not told
	LongMinutes  int
	Running      bool // a self-test
	Left         float64
	LeftTold     bool
	Tests        []disk.SelfTest // the latest first
}

// counted is a number with a name, as smartctl writes enumerations.
type counted struct {
	Value int `json:"value"`
}

// test is a line of a log of self-tests.
type test struct {
	Type   counted `json:"type"`
	Status counted `json:"status"`
	Hours  uint64  `json:"lifetime_hours"`
	LBA    *uint64 `json:"lba"`
}

type tests struct {
	Table []test `json:"table"`
}

// answer is the part of smartctl's JSON (format 1) that is read.
type answer struct {
	Format   []int `json:"json_format_version"`
	Smartctl struct {
		Exit     int      `json:"exit_status"`
		Output   []string `json:"output"` // what it would print else
		Messages []struct {
			Text string `json:"string"`
		} `json:"messages"`
	} `json:"smartctl"`
	Device struct {
		Protocol string `json:"protocol"`
	} `json:"device"`
	Model     string `json:"model_name"`
	SCSIModel string `json:"scsi_model_name"`
	Serial    string `json:"serial_number"`
	Capacity  struct {
		Bytes uint64 `json:"bytes"`
	} `json:"user_capacity"`
	Rotation int `json:"rotation_rate"`
	Status   *struct {
		Passed bool `json:"passed"`
	} `json:"smart_status"`
	Temperature struct {
		Current int `json:"current"`
	} `json:"temperature"`
	On struct {
		Hours uint64 `json:"hours"`
	} `json:"power_on_time"`
	Cycles uint64 `json:"power_cycle_count"`
	ATA    struct {
		SelfTest struct {
			Status struct {
				Value int  `json:"value"`
				Left  *int `json:"remaining_percent"`
			} `json:"status"`
			Minutes struct {
				Short    int `json:"short"`
				Extended int `json:"extended"`
			} `json:"polling_minutes"`
		} `json:"self_test"`
		Capabilities struct {
			SelfTests bool `json:"self_tests_supported"`
		} `json:"capabilities"`
	} `json:"ata_smart_data"`
	Attributes struct {
		Table []struct {
			ID        byte `json:"id"`
			Value     byte `json:"value"`
			Worst     byte `json:"worst"`
			Threshold byte `json:"thresh"`
			Flags     struct {
				Value uint16 `json:"value"`
			} `json:"flags"`
			Raw struct {
				Value uint64 `json:"value"`
			} `json:"raw"`
		} `json:"table"`
	} `json:"ata_smart_attributes"`
	ATATests struct {
		Standard tests `json:"standard"`
		Extended tests `json:"extended"`
	} `json:"ata_smart_self_test_log"`
	Grown  *uint64 `json:"scsi_grown_defect_list"`
	Errors *struct {
		Read, Write, Verify struct {
			Uncorrected uint64 `json:"total_uncorrected_errors"`
		}
	} `json:"scsi_error_counter_log"`
	Starts struct {
		Cycles uint64 `json:"accumulated_start_stop_cycles"`
	} `json:"scsi_start_stop_cycle_counter"`
	Used *struct {
		Percent int `json:"current_percent"`
	} `json:"endurance_used"` // from 7.5 on; before:
	UsedPercent *int `json:"scsi_percentage_used_endurance_indicator"`
	SCSITest    *struct {
		Code   counted `json:"code"`
		Result counted `json:"result"`
		Power  struct {
			Hours uint64 `json:"hours"`
		} `json:"power_on_time"`
		Now bool             `json:"self_test_in_progress"`
		LBA *json.RawMessage `json:"lba_first_failure"`
	} `json:"scsi_self_test_0"`
	LongSeconds int `json:"scsi_extended_self_test_seconds"`
}

// Parse reads what smartctl --json writes when it is asked for --info and more. It fails
// where smartctl does not understand, reached no disk, or one that does not say who it is
// or is neither ATA nor SCSI. Bits of the exit status from 2 on (smartctl(8), EXIT STATUS)
// say something of the disk, or that it lacks a command.
func Parse(out []byte) (Report, error) {
	_, r, err := parse(out)

	return r, err
}

func parse(out []byte) (a answer, r Report, err error) {
	if err := json.Unmarshal(out, &a); err != nil {
		return a, r, fmt.Errorf("reading what smartctl says: %w", err)
	}

	if len(a.Format) == 0 || a.Format[0] != 1 {
		return a, r, fmt.Errorf("reading what smartctl says: format %v, known is 1", a.Format)
	}

	const notUnderstood, notReached = 1, 2

	serial := disk.Text([]byte(a.Serial))

	switch {
	case a.Smartctl.Exit&notUnderstood != 0:
		return a, r, fmt.Errorf("smartctl does not understand: %s", a.said())
	case a.Smartctl.Exit&notReached != 0 && a.Device.Protocol == "":
		return a, r, fmt.Errorf("%w: %s", errNoDisk, a.said())
	case a.Smartctl.Exit&notReached != 0:
		return a, r, fmt.Errorf("%w: %s", errSilent, a.said())
	case serial == "":
		return a, r, fmt.Errorf("%w: no serial number", errSilent)
	case a.Device.Protocol != "ATA" && a.Device.Protocol != "SCSI":
		return a, r, fmt.Errorf("%w: it is one of the protocol %.20q; ATA and SCSI are known", errSilent, a.Device.Protocol)
	}

	r = Report{
		ATA: a.Device.Protocol == "ATA", Model: disk.Text([]byte(a.Model)), Serial: serial,
		Bytes: a.Capacity.Bytes, RPM: max(a.Rotation, 0), Celsius: a.Temperature.Current, Hours: a.On.Hours, Cycles: a.Cycles,
		Grown: a.Grown,
	}

	if r.Model == "" {
		r.Model = disk.Text([]byte(a.SCSIModel))
	}

	if a.Status != nil {
		r.Told, r.Healthy = true, a.Status.Passed
	}

	if r.ATA {
		a.ata(&r)
	} else {
		a.scsi(&r)
	}

	return a, r, nil
}

// said are smartctl's own words: what it calls a message, else its last line.
func (a *answer) said() string {
	words := make([]string, 0, len(a.Smartctl.Messages))
	for _, m := range a.Smartctl.Messages {
		words = append(words, disk.Text([]byte(m.Text)))
	}

	for _, line := range slices.Backward(a.Smartctl.Output) {
		if text := disk.Text([]byte(line)); len(words) == 0 && text != "" {
			words = append(words, text)
		}
	}

	const most = 500

	text := cmp.Or(strings.Join(words, "; "), "it does not say why")

	return text[:min(len(text), most)]
}

func (a *answer) ata(r *Report) {
	for _, x := range a.Attributes.Table {
		r.Attributes = append(r.Attributes, disk.Attribute{
			ID: x.ID, Flags: x.Flags.Value, Value: x.Value, Worst: x.Worst, Threshold: x.Threshold, Raw: x.Raw.Value,
		})
	}

	t := &a.ATA.SelfTest
	r.SelfTests, r.ShortMinutes, r.LongMinutes = a.ATA.Capabilities.SelfTests, t.Minutes.Short, t.Minutes.Extended
	r.Running = t.Status.Value>>4 == 0x0f

	if t.Status.Left != nil {
		r.Left, r.LeftTold = float64(min(max(*t.Status.Left, 0), 100))/100, true
	}

	log := a.ATATests.Extended.Table
	if len(log) == 0 {
		log = a.ATATests.Standard.Table
	}

	for _, entry := range log {
		code := byte(entry.Status.Value >> 4 & 0x0f)
		one := disk.SelfTest{Outcome: disk.ATAOutcome(code), Code: code, Length: lengthOf(entry.Type.Value & 0x7f), Hours: entry.Hours}

		if entry.LBA != nil && one.Outcome == disk.TestFailed {
			one.LBA, one.HasLBA = *entry.LBA, true
		}

		r.Tests = append(r.Tests, one)
	}
}

func (a *answer) scsi(r *Report) {
	if a.Errors != nil {
		sum := a.Errors.Read.Uncorrected + a.Errors.Write.Uncorrected + a.Errors.Verify.Uncorrected
		r.Uncorrected = &sum
	}

	if r.Used = a.UsedPercent; a.Used != nil {
		r.Used = &a.Used.Percent
	}

	r.Cycles = max(r.Cycles, a.Starts.Cycles)

	r.LongMinutes = (max(a.LongSeconds, 0) + 59) / 60

	t := a.SCSITest
	if t == nil {
		return
	}

	code := byte(t.Result.Value & 0x0f)
	r.SelfTests, r.Running = true, code == 0x0f || t.Now
	one := disk.SelfTest{Outcome: disk.ATAOutcome(code), Code: code, Length: lengthOf(t.Code.Value & 3), Hours: t.Power.Hours}

	var lba uint64
	if t.LBA != nil && json.Unmarshal(*t.LBA, &lba) == nil && one.Outcome == disk.TestFailed {
		one.LBA, one.HasLBA = lba, true
	}

	r.Tests = []disk.SelfTest{one}
}

func lengthOf(number int) disk.Length {
	switch number {
	case 1:
		return disk.ShortTest
	case 2:
		return disk.ExtendedTest
	default:
		return ""
	}
}
