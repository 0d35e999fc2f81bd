package disk

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Tally counts the commands of ours that the kernel counts among those that a SCSI disk
// failed (/sys/block/*/device/ioerr_cnt), so that they can be told from errors. Any
// command whose result is not zero counts there (scsi_complete of
// drivers/scsi/scsi_lib.c): one that the disk does not know, and each ATA command that
// brings registers back, SMART RETURN STATUS for one, since a translation layer has no
// other way for those than a CHECK CONDITION (SAT-4 §12.2.2.3, CK_COND).
//
// The count is kept in a folder, a file for each process and disk, so that workers and
// an agent that is started again count together. A command is counted before it is
// sent and taken back when the kernel did not count it: for the moment that it is under
// way it may hide one error, and none is made up. What cannot be kept is not counted.
//
// Safe for concurrent use. A nil Tally counts nothing.
type Tally struct {
	dir  string
	root string // of sysfs: "/sys"

	mu    sync.Mutex
	files map[string]*os.File // by disk; nil: it cannot be kept
	sums  map[string]uint64   // what they hold
}

// NewTally returns a tally that is kept in dir, which is made when there is something to
// count; the folder that it is in must be there.
func NewTally(dir string) *Tally {
	return &Tally{dir: dir, root: "/sys", files: map[string]*os.File{}, sums: map[string]uint64{}}
}

// Own returns how many commands to the disk of a name all processes have counted since
// the disk came: one that comes later under the same name begins at zero.
func (t *Tally) Own(name string) (sum uint64) {
	files, _ := filepath.Glob(filepath.Join(t.dir, t.instance(name)+".*")) //nolint:errcheck // the pattern is sound

	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil && len(raw) == 8 {
			sum += binary.LittleEndian.Uint64(raw)
		}
	}

	return sum
}

// instance names the disk that has the name now: the kernel numbers disks in the order
// in which they come (Linux 5.15), and no number comes twice.
func (t *Tally) instance(name string) string {
	return name + "-" + t.text(filepath.Join("block", name, "diskseq"))
}

func (t *Tally) text(name string) string {
	raw, err := os.ReadFile(filepath.Join(t.root, name)) //nolint:gosec // a file of sysfs
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(raw))
}

// failed is the kernel's count of commands that a disk failed; ok is false where it
// keeps none.
func (t *Tally) failed(name string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(t.text(filepath.Join("block", name, "device", "ioerr_cnt")), 0, 64)

	return n, err == nil
}

// around sends a command to the disk of a name and counts it. send tells whether it came
// back with another result than success.
func (t *Tally) around(name string, send func() (failed bool)) {
	if t == nil {
		_ = send()

		return
	}

	before, counts := t.failed(name)
	if !counts {
		_ = send()

		return
	}

	disk := t.instance(name)
	t.add(disk, 1)

	// One that libata's error handler ends does not count, whatever came of it.
	bad := send()
	if after, _ := t.failed(name); !bad || after <= before {
		t.add(disk, -1)
	}
}

// add changes the count of a disk.
func (t *Tally) add(disk string, by int64) {
	t.mu.Lock()
	defer t.mu.Unlock()

	file, known := t.files[disk]
	if !known {
		file = t.open(disk)
		t.files[disk] = file
	}

	if file == nil {
		return
	}

	t.sums[disk] += uint64(by) //nolint:gosec // wraps around to one less

	var raw [8]byte

	binary.LittleEndian.PutUint64(raw[:], t.sums[disk])
	_, _ = file.WriteAt(raw[:], 0) // see above
}

func (t *Tally) open(disk string) *os.File {
	if err := os.Mkdir(t.dir, 0o700); err != nil && !os.IsExist(err) {
		return nil
	}

	file, err := os.CreateTemp(t.dir, disk+".*")
	if err != nil {
		return nil
	}

	return file
}
