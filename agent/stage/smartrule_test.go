package stage_test

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"vetting/agent/disk"
	"vetting/agent/machines"
	"vetting/agent/stage"
	"vetting/core"
)

// The machines whose disks the rules are tried on: all pass as they are.
const (
	sataMachine = "supermicro-x11dpi-n-3.3"    // sda: SSD, sdc: HDD
	nvmeMachine = "dell-poweredge-r6515-2.9.3" // nvme0n1
	sasMachine  = "supermicro-ssg-6029p-e1cr12h-3.4"
)

// The keys of the commands in recordings.
const (
	ataIdentity   = "85080e0000000100"
	ataAttributes = "85080e00d0"
	ataThresholds = "85080e00d1"
	ataStatus     = "85062000da00000000004f00c200b000"
	ataTests      = "85080e00d5"
	ataPhy        = "85090e000000010011"
	ataEndurance  = "85090e000000010004000700"
	nvmeIdentity  = "06 00000000 00000001"
	nvmeHealth    = "02 ffffffff 007f0002"
	nvmeErrors    = "02 ffffffff 03ff0001"
	nvmeTests     = "02 ffffffff 008c0006"
	nvmeOCP       = "02 ffffffff 007f00c0 00000000"
	scsiWrite     = "4d0042"
	scsiHeat      = "4d004d"
	scsiStarts    = "4d004e"
	scsiTests     = "4d0050"
	scsiHours     = "4d0055"
	scsiPort      = "4d0058"
	scsiException = "4d006f"
	scsiDefects   = "b70d"
)

type edit func(data []byte) []byte

// attribute sets the raw value of an ATA attribute, and adds it when it is not there.
func attribute(id byte, raw uint64) edit {
	return func(data []byte) []byte {
		for at := 2; at+12 <= 362; at += 12 {
			if data[at] == id || data[at] == 0 {
				data[at] = id
				copy(data[at+5:at+11], binary.LittleEndian.AppendUint64(nil, raw)[:6])

				if data[at+3] == 0 {
					data[at+3], data[at+4] = 100, 100
				}

				break
			}
		}

		return data
	}
}

// value sets the normalised value of an ATA attribute.
func value(id, v byte) edit {
	return func(data []byte) []byte {
		for at := 2; at+12 <= 362; at += 12 {
			if data[at] == id {
				data[at+3] = v
			}
		}

		return data
	}
}

func setByte(at int, v byte) edit { return func(data []byte) []byte { data[at] = v; return data } }

func set16(at int, v uint16) edit {
	return func(data []byte) []byte { binary.LittleEndian.PutUint16(data[at:], v); return data }
}

func set32(at int, v uint32) edit {
	return func(data []byte) []byte { binary.LittleEndian.PutUint32(data[at:], v); return data }
}

func set64(at int, v uint64) edit {
	return func(data []byte) []byte { binary.LittleEndian.PutUint64(data[at:], v); return data }
}

func setBig32(at int, v uint32) edit {
	return func(data []byte) []byte { binary.BigEndian.PutUint32(data[at:], v); return data }
}

// phyEvent sets a counter of SATA log 11h.
func phyEvent(id uint16, v uint32) edit {
	return func(data []byte) []byte {
		for at := 4; at+6 <= 511; at += 6 {
			if entry := binary.LittleEndian.Uint16(data[at:]); entry == 0 || entry&0xfff == id {
				binary.LittleEndian.PutUint16(data[at:], 2<<12|id)
				binary.LittleEndian.PutUint32(data[at+2:], v)

				break
			}
		}

		return data
	}
}

// nvmeError makes one entry of the error log.
func nvmeError(statusType uint16) edit {
	return func(data []byte) []byte {
		binary.LittleEndian.PutUint64(data, 1)
		binary.LittleEndian.PutUint16(data[12:], (statusType<<8|0x81)<<1)
		binary.LittleEndian.PutUint64(data[16:], 4711)

		return data
	}
}

// ocpPage is log page C0h of a new drive for data centres, as the specification lays it
// out: bytes 0-207 and the version of revision 2.0.
func ocpPage() []byte {
	b := make([]byte, 512)
	copy(b[496:], []byte{0xc5, 0xaf, 0x10, 0x28, 0xea, 0xbf, 0xf2, 0xa4, 0x9c, 0x4f, 0x6f, 0x7c, 0xc9, 0x14, 0xd5, 0xaf})
	b[494] = 3

	set64(0, 1<<30)(b) // written and read
	set64(16, 1<<31)(b)
	set16(38, 100)(b) // all blocks are well, user's and system's; some were bad from the start
	set16(46, 100)(b)
	set64(64, 12345)(b) // soft errors are daily bread
	set16(128, 118)(b)  // capacitors of a new drive hold more than they must

	b[120] = 99

	return b
}

// ocp makes of log page C0h, whatever it is, the one of a new drive with a change.
func ocp(e edit) edit {
	return func([]byte) []byte { return e(ocpPage()) }
}

// change is what a case does to a recorded disk.
type change struct {
	key   string
	edit  edit
	later bool // only from the second time on
}

func now(key string, e edit) []change   { return []change{{key, e, false}} }
func later(key string, e edit) []change { return []change{{key, e, true}} }

// ocpLater is a drive for data centres that is new at first, and changed then.
func ocpLater(e edit) []change {
	return append(now(nvmeOCP, ocp(setByte(120, 99))), change{nvmeOCP, ocp(e), true})
}

type ruleCase struct {
	machine, disk string
	policy        string
	bad           []change
	code          string
	severity      core.Severity
	evidence      string // part of it
	good          []change
}

// untouched keeps what came of machines as they are.
var untouched = map[string]core.Result{}

// healthy plays the stage over the machine as it is.
func (c ruleCase) healthy(t *testing.T) core.Result {
	t.Helper()

	key := c.machine + c.policy
	if _, known := untouched[key]; !known {
		untouched[key] = c.play(t, nil)
	}

	return untouched[key]
}

func (c ruleCase) play(t *testing.T, changes []change) core.Result {
	t.Helper()

	r := machines.Open(t, c.machine)

	if slices.ContainsFunc(changes, func(c change) bool { return c.key == nvmeOCP }) {
		r.Disks.Set(disk.Exchange{Disk: c.disk, NVMe: nvmeOCP, In: 512, Length: 512})
	}

	for _, change := range changes {
		alter := r.Disks.Edit
		if change.later {
			alter = func(name, key string, edit func([]byte) []byte) error { return r.Disks.Later(name, key, edit) }
		}

		if err := alter(c.disk, change.key, change.edit); err != nil {
			t.Fatal(err)
		}
	}

	return smart(t, r, map[string]string{"SMART.policy": c.policy})
}

// TestRules holds each row of the criteria for disks against a disk that breaks it
// by the least, and one that keeps it by the least.
func TestRules(t *testing.T) {
	const used = "used"

	const crit, warn, info = core.Critical, core.Warning, core.Info

	for name, c := range map[string]ruleCase{
		// The disk's own word.
		"ATA threshold crossed, pre-fail": {sataMachine, "sda", "", now(ataAttributes, value(170, 10)), "smart/attribute-failing", crit, "attribute 170", now(ataAttributes, value(170, 11))},
		"ATA threshold crossed, old age":  {sataMachine, "sdc", "", now(ataAttributes, value(12, 20)), "smart/attribute-failing", warn, "attribute 12", now(ataAttributes, value(12, 21))},
		"ATA locked":                      {sataMachine, "sda", "", now(ataIdentity, setByte(256, 0x25)), "smart/locked", crit, "word 128", now(ataIdentity, setByte(256, 0x21))},
		"NVMe spare":                      {nvmeMachine, "nvme0n1", "", now(nvmeHealth, setByte(0, 1)), "smart/critical-warning", crit, "spare blocks", now(nvmeHealth, setByte(0, 0))},
		"NVMe hot":                        {nvmeMachine, "nvme0n1", "", now(nvmeHealth, setByte(0, 2)), "smart/critical-warning", crit, "temperature", nil},
		"NVMe unreliable":                 {nvmeMachine, "nvme0n1", "", now(nvmeHealth, setByte(0, 4)), "smart/critical-warning", crit, "unreliable", nil},
		"NVMe read-only":                  {nvmeMachine, "nvme0n1", "", now(nvmeHealth, setByte(0, 8)), "smart/critical-warning", crit, "read-only", nil},
		"NVMe backup":                     {nvmeMachine, "nvme0n1", "", now(nvmeHealth, setByte(0, 16)), "smart/critical-warning", crit, "backup", nil},
		"NVMe persistent memory":          {nvmeMachine, "nvme0n1", "", now(nvmeHealth, setByte(0, 32)), "smart/critical-warning", crit, "persistent", nil},
		"SCSI failure predicted":          {sasMachine, "sda", "", now(scsiException, setByte(8, 0x5d)), "smart/failing", crit, "5d/", now(scsiException, setByte(8, 0))},
		"SCSI warning":                    {sasMachine, "sda", "", now(scsiException, setByte(8, 0x0b)), "smart/failing", warn, "0b/", nil},

		// Self-tests.
		"ATA test failed":       {sataMachine, "sda", "", now(ataAttributes, setByte(363, 0x70)), "smart/self-test-failed", crit, "status 7", now(ataAttributes, setByte(363, 0))},
		"ATA test aborted":      {sataMachine, "sda", "", now(ataAttributes, setByte(363, 0x10)), "smart/self-test-broken", warn, "aborted twice", nil},
		"ATA earlier test":      {sataMachine, "sda", "", now(ataTests, setByte(3, 0x70)), "smart/earlier-self-test-failed", warn, "at 6 power-on hours", now(ataTests, setByte(3, 0x10))},
		"NVMe test failed":      {nvmeMachine, "nvme0n1", "", now(nvmeTests, setByte(4, 0x17)), "smart/self-test-failed", crit, "result 7", now(nvmeTests, setByte(4, 0x10))},
		"NVMe test not done":    {nvmeMachine, "nvme0n1", "", now(nvmeTests, setByte(4, 0x15)), "smart/self-test-failed", crit, "could not be completed", nil},
		"NVMe test aborted":     {nvmeMachine, "nvme0n1", "", now(nvmeTests, setByte(4, 0x14)), "smart/self-test-broken", warn, "aborted twice", nil},
		"NVMe without a result": {nvmeMachine, "nvme0n1", "", now(nvmeTests, setByte(4, 0x0f)), "smart/self-test-broken", warn, "empty", nil},
		"SCSI test failed":      {sasMachine, "sda", "", now(scsiTests, setByte(8, 0x27)), "smart/self-test-failed", crit, "result 7", now(scsiTests, setByte(8, 0x20))},
		"SCSI test aborted":     {sasMachine, "sda", "", now(scsiTests, setByte(8, 0x22)), "smart/self-test-broken", warn, "aborted twice", nil},

		// Errors of the past.
		"ATA 197":          {sataMachine, "sdc", "", now(ataAttributes, attribute(197, 1)), "smart/pending-sectors", crit, "is 1", now(ataAttributes, attribute(197, 0))},
		"ATA 197 used":     {sataMachine, "sdc", used, now(ataAttributes, attribute(197, 1)), "smart/pending-sectors", crit, "is 1", nil},
		"ATA 198":          {sataMachine, "sdc", "", now(ataAttributes, attribute(198, 1)), "smart/uncorrectable", crit, "offline_uncorrectable_count", nil},
		"ATA 187":          {sataMachine, "sdc", "", now(ataAttributes, attribute(187, 1)), "smart/uncorrectable", crit, "reported_uncorrected_count", nil},
		"ATA 184":          {sataMachine, "sda", "", now(ataAttributes, attribute(184, 1)), "smart/end-to-end", crit, "is 1", nil},
		"ATA 10":           {sataMachine, "sdc", "", now(ataAttributes, attribute(10, 1)), "smart/spin-retries", crit, "is 1", nil},
		"ATA 5":            {sataMachine, "sdc", "", now(ataAttributes, attribute(5, 1)), "smart/reallocated", crit, "is 1", now(ataAttributes, attribute(5, 0))},
		"ATA 5 used, few":  {sataMachine, "sdc", used, now(ataAttributes, attribute(5, 10)), "smart/reallocated", warn, "is 10", now(ataAttributes, attribute(5, 0))},
		"ATA 5 used, many": {sataMachine, "sdc", used, now(ataAttributes, attribute(5, 11)), "smart/reallocated", crit, "is 11", nil},
		"ATA 196":          {sataMachine, "sdc", "", now(ataAttributes, attribute(196, 1)), "smart/reallocated", crit, "reallocation_events_count", nil},
		"ATA 188":          {sataMachine, "sdc", "", now(ataAttributes, attribute(188, 1)), "smart/command-timeouts", warn, "is 1", now(ataAttributes, attribute(188, 7<<16))},
		"ATA 199":          {sataMachine, "sdc", "", now(ataAttributes, attribute(199, 1)), "smart/crc-errors", warn, "crc_errors_count is 1", now(ataAttributes, attribute(199, 0))},
		"SATA link":        {sataMachine, "sda", "", now(ataPhy, phyEvent(0x0b, 2)), "smart/crc-errors", warn, "phy_errors_count is 2", now(ataPhy, phyEvent(9, 3))},
		"NVMe media":       {nvmeMachine, "nvme0n1", "", now(nvmeHealth, set64(160, 1)), "smart/media-errors", crit, "is 1", nil},
		"NVMe log, media":  {nvmeMachine, "nvme0n1", "", now(nvmeErrors, nvmeError(2)), "smart/media-errors", crit, "block 4711", now(nvmeErrors, nvmeError(0))},
		"NVMe log, others": {nvmeMachine, "nvme0n1", "", now(nvmeErrors, nvmeError(0)), "smart/error-log", info, "1 entries", nil},
		"SCSI uncorrected": {sasMachine, "sda", "", now(scsiWrite, setByte(4+6*12+11, 1)), "smart/uncorrectable", crit, "is 1", nil},
		"SCSI defects":     {sasMachine, "sda", "", now(scsiDefects, setBig32(4, 8)), "smart/grown-defects", crit, "is 1", now(scsiDefects, setBig32(4, 0))},
		"SCSI few defects": {sasMachine, "sda", used, now(scsiDefects, setBig32(4, 80)), "smart/grown-defects", warn, "is 10", nil},

		// What grows while it is watched.
		"ATA 5 grows":            {sataMachine, "sdc", used, later(ataAttributes, attribute(5, 2)), "smart/increase", crit, "reallocated_sectors_count went from 0 to 2", nil},
		"ATA 187 grows":          {sataMachine, "sdc", used, later(ataAttributes, attribute(187, 2)), "smart/increase", crit, "reported_uncorrected_count", nil},
		"ATA 197 grows":          {sataMachine, "sdc", used, later(ataAttributes, attribute(197, 2)), "smart/increase", crit, "pending_sectors_count", nil},
		"ATA 198 grows":          {sataMachine, "sdc", used, later(ataAttributes, attribute(198, 2)), "smart/increase", crit, "offline_uncorrectable_count", nil},
		"ATA 199 grows":          {sataMachine, "sdc", used, later(ataAttributes, attribute(199, 2)), "smart/increase", crit, "crc_errors_count", now(ataAttributes, attribute(199, 2))},
		"ATA 188 grows":          {sataMachine, "sdc", "", later(ataAttributes, attribute(188, 5)), "smart/increase", warn, "from 0 to 5", nil},
		"ATA 188 grows a lot":    {sataMachine, "sdc", "", later(ataAttributes, attribute(188, 6)), "smart/increase", crit, "from 0 to 6", nil},
		"SATA link errors grow":  {sataMachine, "sda", "", later(ataPhy, phyEvent(2, 1)), "smart/increase", crit, "phy_errors_count went from 0 to 1", nil},
		"SATA link lost":         {sataMachine, "sda", "", later(ataPhy, phyEvent(9, 3)), "smart/increase", crit, "phy_losses_count went from 1 to 3", later(ataPhy, phyEvent(9, 1))},
		"NVMe media errors grow": {nvmeMachine, "nvme0n1", "", later(nvmeHealth, set64(160, 1)), "smart/increase", crit, "media_errors_count", nil},
		"SCSI defects grow":      {sasMachine, "sda", used, later(scsiDefects, setBig32(4, 8)), "smart/increase", crit, "grown_defects_count", nil},
		"SCSI errors grow":       {sasMachine, "sda", used, later(scsiWrite, setByte(4+6*12+11, 1)), "smart/increase", crit, "uncorrected_errors_count", nil},
		"SAS link errors grow":   {sasMachine, "sda", "", later(scsiPort, setBig32(4+4+4+32, 5)), "smart/increase", crit, "phy_errors_count went from 16 to 17", later(scsiPort, setBig32(4+4+4+32, 4))},

		// What drives for data centres count inside themselves: OCP log page C0h.
		"OCP user blocks, new":          {nvmeMachine, "nvme0n1", "", now(nvmeOCP, ocp(set16(38, 99))), "smart/bad-blocks", warn, "user_blocks_percent is 99", now(nvmeOCP, ocp(set16(38, 100)))},
		"OCP user blocks, used":         {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(set16(38, 9))), "smart/bad-blocks", warn, "user_blocks_percent is 9", now(nvmeOCP, ocp(set16(38, 10)))},
		"OCP no user blocks left":       {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(set16(38, 0))), "smart/bad-blocks", crit, "user_blocks_percent is 0", now(nvmeOCP, ocp(set16(38, 101)))},
		"OCP system blocks":             {nvmeMachine, "nvme0n1", "", now(nvmeOCP, ocp(set16(46, 99))), "smart/bad-blocks", warn, "system_blocks_percent is 99", now(nvmeOCP, ocp(set32(40, 7)))},
		"OCP no system blocks left":     {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(set16(46, 0))), "smart/bad-blocks", crit, "system_blocks_percent is 0", nil},
		"OCP a block is retired":        {nvmeMachine, "nvme0n1", used, ocpLater(set32(32, 4)), "smart/bad-blocks", warn, "bad_user_blocks_count went from 0 to 4", now(nvmeOCP, ocp(set32(32, 4)))},
		"OCP a system block is retired": {nvmeMachine, "nvme0n1", used, ocpLater(set32(40, 4)), "smart/bad-blocks", warn, "bad_system_blocks_count went from 0 to 4", now(nvmeOCP, ocp(set32(40, 4)))},
		"OCP uncorrectable":             {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(set64(56, 1))), "smart/uncorrectable", crit, "uncorrectable_reads_count is 1", now(nvmeOCP, ocp(set64(64, 1<<40)))},
		"OCP uncorrectable grows":       {nvmeMachine, "nvme0n1", used, ocpLater(set64(56, 1)), "smart/increase", crit, "uncorrectable_reads_count went from 0 to 1", nil},
		"OCP rebuilt":                   {nvmeMachine, "nvme0n1", "", now(nvmeOCP, ocp(set64(48, 1))), "smart/rebuilt-data", warn, "xor_recoveries_count is 1", now(nvmeOCP, ocp(set64(48, 0)))},
		"OCP rebuilt now":               {nvmeMachine, "nvme0n1", used, ocpLater(set64(48, 3)), "smart/rebuilt-data", warn, "xor_recoveries_count went from 0 to 3", now(nvmeOCP, ocp(set64(48, 3)))},
		"OCP end to end, lost":          {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(both(set32(72, 3), set32(76, 2)))), "smart/end-to-end", crit, "end_to_end_lost_count is 1", now(nvmeOCP, ocp(set32(72, 0)))},
		"OCP end to end, the other way": {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(both(set32(72, 2), set32(76, 3)))), "smart/end-to-end", crit, "end_to_end_lost_count is 1", nil},
		"OCP end to end, corrected":     {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(both(set32(72, 3), set32(76, 3)))), "smart/end-to-end", warn, "end_to_end_detected_count is 3", nil},
		"OCP end to end grows":          {nvmeMachine, "nvme0n1", used, ocpLater(both(set32(72, 3), set32(76, 3))), "smart/increase", crit, "end_to_end_detected_count went from 0 to 3", nil},
		"OCP system worn":               {nvmeMachine, "nvme0n1", "", now(nvmeOCP, ocp(setByte(80, 80))), "smart/worn", warn, "system_used_percent is 80", now(nvmeOCP, ocp(setByte(80, 79)))},
		"OCP system worn out":           {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(setByte(80, 100))), "smart/worn", crit, "system_used_percent is 100", nil},
		"OCP throttling":                {nvmeMachine, "nvme0n1", "", now(nvmeOCP, ocp(setByte(97, 1))), "smart/throttled", warn, "throttling_bits is 1", now(nvmeOCP, ocp(setByte(96, 200)))},
		"OCP throttled":                 {nvmeMachine, "nvme0n1", "", ocpLater(setByte(96, 1)), "smart/throttled", warn, "thermal_events_count went from 0 to 1", nil},
		"OCP link errors":               {nvmeMachine, "nvme0n1", "", ocpLater(set64(104, 5)), "smart/link-errors", warn, "link_correctable_errors_count went from 0 to 5", now(nvmeOCP, ocp(set64(104, 5)))},
		"OCP link retrained":            {nvmeMachine, "nvme0n1", "", ocpLater(set64(192, 1)), "smart/link-errors", warn, "link_retrains_count went from 0 to 1", ocpLater(both(set64(192, 1), setByte(494, 2)))},
		"OCP shutdown":                  {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(set32(112, 1))), "smart/incomplete-shutdown", warn, "incomplete_shutdowns_count is 1", now(nvmeOCP, ocp(set32(112, 0)))},
		"OCP shutdown now":              {nvmeMachine, "nvme0n1", used, ocpLater(set32(112, 1)), "smart/increase", crit, "incomplete_shutdowns_count", nil},
		"OCP capacitor, new":            {nvmeMachine, "nvme0n1", "", now(nvmeOCP, ocp(set16(128, 99))), "smart/capacitor", warn, "capacitor_percent is 99", now(nvmeOCP, ocp(set16(128, 100)))},
		"OCP capacitor, used":           {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(set16(128, 49))), "smart/capacitor", warn, "capacitor_percent is 49", now(nvmeOCP, ocp(set16(128, 50)))},
		"OCP capacitor, dead":           {nvmeMachine, "nvme0n1", used, now(nvmeOCP, ocp(set16(128, 0))), "smart/capacitor", crit, "capacitor_percent is 0", now(nvmeOCP, ocp(set16(128, 0xffff)))},

		// Age and wear.
		"NVMe worn a little":      {nvmeMachine, "nvme0n1", "", now(nvmeHealth, setByte(5, 2)), "smart/worn", warn, "is 2", now(nvmeHealth, setByte(5, 1))},
		"NVMe worn":               {nvmeMachine, "nvme0n1", "", now(nvmeHealth, setByte(5, 10)), "smart/worn", crit, "is 10", nil},
		"NVMe worn, used":         {nvmeMachine, "nvme0n1", used, now(nvmeHealth, setByte(5, 80)), "smart/worn", warn, "is 80", now(nvmeHealth, setByte(5, 79))},
		"NVMe worn out, used":     {nvmeMachine, "nvme0n1", used, now(nvmeHealth, setByte(5, 100)), "smart/worn", crit, "is 100", nil},
		"NVMe spare begun":        {nvmeMachine, "nvme0n1", "", now(nvmeHealth, setByte(3, 99)), "smart/spare-low", warn, "is 99", now(nvmeHealth, setByte(3, 100))},
		"NVMe spare exhausted":    {nvmeMachine, "nvme0n1", used, now(nvmeHealth, setByte(3, 10)), "smart/spare-exhausted", crit, "threshold 10", now(nvmeHealth, setByte(3, 11))},
		"SSD worn, by attribute":  {sataMachine, "sda", "", append(now(ataAttributes, value(233, 90)), now(ataEndurance, setByte(15, 0))...), "smart/worn", crit, "is 10", append(now(ataAttributes, value(233, 91)), now(ataEndurance, setByte(15, 0))...)},
		"SSD worn, by statistics": {sataMachine, "sda", "", now(ataEndurance, setByte(8, 10)), "smart/worn", crit, "is 10", now(ataEndurance, setByte(8, 9))},
		"SSD worn, used":          {sataMachine, "sda", used, now(ataEndurance, setByte(8, 90)), "smart/worn", crit, "is 90", now(ataEndurance, setByte(8, 89))},
		"ATA hours":               {sataMachine, "sdc", "", now(ataAttributes, attribute(9, 49)), "smart/not-new", warn, "power_on_hours is 49", now(ataAttributes, attribute(9, 48))},
		"ATA cycles":              {sataMachine, "sdc", "", now(ataAttributes, attribute(12, 51)), "smart/not-new", warn, "power_cycles_count is 51", now(ataAttributes, attribute(12, 50))},
		"NVMe hours":              {nvmeMachine, "nvme0n1", "", now(nvmeHealth, set64(128, 49)), "smart/not-new", warn, "is 49", now(nvmeHealth, set64(128, 48))},
		"SAS hours":               {sasMachine, "sda", "", now(scsiHours, setBig32(8, 49*60)), "smart/not-new", warn, "power_on_hours is 49", now(scsiHours, setBig32(8, 49*60-1))},
		"SAS cycles":              {sasMachine, "sda", "", now(scsiStarts, setByte(4+10+10+8+7, 51)), "smart/not-new", warn, "power_cycles_count is 51", now(scsiStarts, setByte(4+10+10+8+7, 50))},

		// Heat.
		"HDD warm":              {sataMachine, "sdc", "", now(ataAttributes, attribute(194, 55)), "smart/temperature", warn, "is 55", now(ataAttributes, attribute(194, 54))},
		"HDD hot":               {sataMachine, "sdc", "", now(ataAttributes, attribute(194, 60)), "smart/temperature", crit, "is 60", nil},
		"NVMe warm":             {nvmeMachine, "nvme0n1", "", now(nvmeHealth, set16(1, 350)), "smart/temperature", warn, "is 77", now(nvmeHealth, set16(1, 349))},
		"NVMe too hot":          {nvmeMachine, "nvme0n1", "", now(nvmeHealth, set16(1, 357)), "smart/temperature", crit, "is 84", nil},
		"SAS warm":              {sasMachine, "sda", "", now(scsiHeat, setByte(9, 55)), "smart/temperature", warn, "is 55", now(scsiHeat, setByte(9, 54))},
		"NVMe warning minutes":  {nvmeMachine, "nvme0n1", "", later(nvmeHealth, set32(192, 1)), "smart/temperature", warn, "warning_temperature_minutes went from 0 to 1", now(nvmeHealth, set32(192, 1))},
		"NVMe critical minutes": {nvmeMachine, "nvme0n1", "", later(nvmeHealth, set32(196, 1)), "smart/temperature", crit, "critical_temperature_minutes", now(nvmeHealth, set32(196, 9))},
		"NVMe light throttle":   {nvmeMachine, "nvme0n1", "", later(nvmeHealth, set32(216, 1)), "smart/throttled", warn, "light_throttles_count", now(nvmeHealth, set32(216, 1))},
		"NVMe heavy throttle":   {nvmeMachine, "nvme0n1", "", later(nvmeHealth, set32(220, 1)), "smart/throttled", warn, "heavy_throttles_count", now(nvmeHealth, set32(220, 1))},
	} {
		t.Run(name, func(t *testing.T) {
			result := c.play(t, c.bad)

			found := find(result, c.code)
			if len(found) == 0 || found[0].Severity != c.severity || !strings.Contains(found[0].Evidence, c.evidence) {
				t.Fatalf("found %+v of %+v", found, result.Findings)
			}

			if found[0].Part.Serial == "" && found[0].Part.Slot == "" {
				t.Errorf("which disk? %+v", found[0])
			}

			switch {
			case c.severity == core.Critical && result.Verdict != core.Fail,
				c.severity != core.Critical && c.code == "smart/self-test-broken" && result.Verdict != core.Error,
				c.severity != core.Critical && c.code != "smart/self-test-broken" && result.Verdict != core.Pass:
				t.Errorf("verdict %s", result.Verdict)
			}

			good := c.healthy(t)
			if c.good != nil {
				good = c.play(t, c.good)
			}

			if found := find(good, c.code); len(found) > 0 {
				t.Errorf("a disk that keeps the rule: %+v", found)
			}
		})
	}
}

// TestADriveThatCriesWolf: one pending sector of a model that makes it up is nothing, two
// are; of any other model one is.
func TestADriveThatCriesWolf(t *testing.T) {
	named := func(model string) edit {
		return func(data []byte) []byte {
			for i := range 40 {
				data[54+i^1] = (model + strings.Repeat(" ", 40))[i]
			}

			data[510] = 0 // no checksum

			return data
		}
	}

	for name, c := range map[string]struct {
		model string
		raw   uint64
		later bool
		found bool
	}{
		"it makes one up":       {"CT1000MX500SSD1", 1, false, false},
		"it makes one up later": {"CT1000MX500SSD1", 1, true, false},
		"it has two":            {"CT1000MX500SSD1", 2, false, true},
		"another model":         {"CT1000P1SSD8", 1, false, true},
	} {
		ruled := ruleCase{machine: sataMachine, disk: "sda"}
		result := ruled.play(t, []change{{ataIdentity, named(c.model), false}, {ataAttributes, attribute(197, c.raw), c.later}})

		if found := find(result, "smart/pending-sectors"); (len(found) > 0) != c.found || (result.Verdict == core.Fail) != c.found {
			t.Errorf("%s: %s %+v", name, result.Verdict, result.Findings)
		}
	}

	// What is left out is not gone.
	ruled := ruleCase{machine: sataMachine, disk: "sda"}

	result := ruled.play(t, []change{{ataIdentity, named("CT1000MX500SSD1"), false}, {ataAttributes, attribute(197, 2), false}, {ataAttributes, attribute(197, 1), true}})
	if result.Verdict != core.Pass || len(find(result, "smart/not-compared")) > 0 {
		t.Errorf("two, and then one: %s %+v", result.Verdict, result.Findings)
	}
}

// TestFailingStatus: SMART RETURN STATUS with the registers of a failing disk.
func TestFailingStatus(t *testing.T) {
	for registers, code := range map[string]string{"f42c": "smart/failing", "4fc2": "", "0000": "smart/not-readable"} {
		r := machines.Open(t, sataMachine)
		// The ATA status return descriptor (SAT-4 §12.2.2.7): LBA mid is byte 9, high byte 11.
		r.Disks.Set(disk.Exchange{
			Disk: "sda", SCSI: ataStatus, Status: 2,
			Sense: "7201001d0000000e090c000000000000" + "00" + registers[:2] + "00" + registers[2:] + "0050",
		})

		result := smart(t, r, nil)
		if code == "" && len(result.Findings) > 0 || code != "" && len(find(result, code)) != 1 {
			t.Errorf("registers %s: %+v", registers, result.Findings)
		}
	}
}

// TestADriveForDataCentres: one that is new and well breaks no rule; a page C0h of somebody
// else says nothing, whatever is in it, and is asked for once.
func TestADriveForDataCentres(t *testing.T) {
	strange := ocpPage()
	for i := range 256 {
		strange[i] = 0xff
	}

	strange[500]++

	for name, page := range map[string][]byte{"new": ocpPage(), "of somebody else": strange, "zeros": make([]byte, 512)} {
		for _, policy := range []string{"new", "used"} {
			r := machines.Open(t, nvmeMachine)
			r.Disks.Set(disk.Exchange{Disk: "nvme0n1", NVMe: nvmeOCP, In: 512, Length: 512, Data: hex.EncodeToString(page)})
			m, e := listen(r)
			result := run(t, newBench(map[string]string{"SMART.policy": policy}), stage.SMART(m))

			if worse := slices.ContainsFunc(result.Findings, func(f core.Finding) bool { return f.Severity != core.Info }); result.Verdict != core.Pass || worse {
				t.Errorf("%s, %s: %s %+v", name, policy, result.Verdict, result.Findings)
			}

			told := slices.ContainsFunc(result.Measurements, func(s core.Sample) bool { return strings.HasSuffix(s.Key, "/capacitor_percent") && s.Value == 118 })
			if asked := len(e.of("nvme0n1", nvmeOCP)); told != (name == "new") || told != (asked == 2) || asked == 0 {
				t.Errorf("%s: told %v, asked %d times", name, told, asked)
			}
		}
	}
}
