package diskguard

import (
	"strings"

	"vetting/core/problem"
)

// Replacement are all the facts on which it rests whether a disk that a person has
// named may be overwritten with the image of a boot medium. No run is behind it and no
// lease: instead the disk must be one that people carry about, and the person must have
// said its serial number.
type Replacement struct {
	Disk   Disk
	Others []Disk // the other disks that are there now
	// Said is what the person has said to be the disk: its serial number or, where it
	// tells none, its model.
	Said string
	// Fixed: the person knows that it is no stick, and has named its serial number for
	// this. It passes over that one gate, and over nothing else.
	Fixed  bool
	Shown  Shown   // of the disk that the person was shown
	Needs  uint64  // bytes of the image
	Opened *Opened // nil until it is open for writing
}

// Shown tells the disk that a person was shown from one that has taken its name since. A
// stick without a serial number has no more than that, and another in the same port mostly
// gets the same name and number: only the kernel's count of disks is never the same.
type Shown struct {
	Number    string
	Attached  string
	SizeBytes uint64
}

// Shown is what a person is shown of the disk.
func (d *Disk) Shown() Shown { return Shown{d.Number, d.Attached, d.SizeBytes} }

// MayReplace decides whether the disk may be opened to be overwritten with an image
// and, once it is open, whether it may be written.
func MayReplace(f *Replacement) Decision {
	j := &judge{Facts: &Facts{Disk: f.Disk, Others: f.Others, Opened: f.Opened}}
	d := &j.Disk

	known := d.Serial
	if known == "" {
		known = d.Model
	}

	j.say(f.Fixed && d.Serial == "", problem.StorageNoSerial, "%s tells no serial number, so that nobody can have named it", d.Name)
	j.say(known == "" || !strings.EqualFold(strings.TrimSpace(f.Said), strings.TrimSpace(known)), problem.StickNotMeant, "%s is %q, and %q was said", d.Name, known, f.Said)
	j.shown(&f.Shown)
	j.say(d.Transport != "usb" && !f.Fixed, problem.StickNotUSB, "%s is attached by %s", d.Name, orNone(d.Transport))
	j.say(f.Needs > d.SizeBytes, problem.StickTooSmall, "%s has %d bytes, and the image needs %d", d.Name, d.SizeBytes, f.Needs)
	j.say(d.Block > 512, problem.StorageSectorSize, "%s has blocks of %d bytes, and the image's are of 512", d.Name, d.Block)
	j.writable()
	j.twins()
	j.use()

	if f.Opened != nil {
		j.opened()
	}

	return j.decision()
}

// shown compares the disk with the one that the person was shown.
func (j *judge) shown(s *Shown) {
	d := &j.Disk

	j.say(d.Number != s.Number, problem.StorageChanged, "%s is number %s, and number %s was shown", d.Name, orNone(d.Number), orNone(s.Number))
	j.say(d.SizeBytes != s.SizeBytes, problem.StorageChanged, "%s has %d bytes, and one of %d was shown", d.Name, d.SizeBytes, s.SizeBytes)
	j.say(d.Attached != s.Attached, problem.StorageChanged, "%s was plugged in, or its medium changed, after it was shown", d.Name)
}
