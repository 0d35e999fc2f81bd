package stick

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// cd is what ISOLINUX needs: files that lie before the boot partition, and the names of
// those in it.
type cd struct {
	own   []File           // put into the CD's area
	there map[string]entry // path on the CD → where it lies
}

// entry is a stretch of the image, in bytes.
type entry struct{ at, size int64 }

const (
	isoFirst = 16 // block of the primary volume descriptor (ECMA-119 §6.7.1)
	bootName = "isolinux/isolinux.bin"
)

// iso puts the CD's structures on the disk, between the GPT and limit (bytes), and
// returns where the boot program lies. espAt is where the boot partition begins.
func (d *Disk) iso(c cd, volume string, espAt, limit int64) (boot int64, err error) {
	const (
		bootBlock = isoFirst + 1
		catalog   = isoFirst + 3
		pathL     = isoFirst + 4
		pathM     = isoFirst + 5
	)

	next := int64(isoFirst + 6)
	all := maps.Clone(c.there)

	for _, f := range c.own {
		data := make([]byte, f.Size)
		if _, err := f.Data.ReadAt(data, 0); err != nil && f.Size > 0 && !errors.Is(err, io.EOF) {
			return 0, err
		}

		if f.Path == bootName {
			boot = next * block
			bootInfo(data, next)
		}

		all[f.Path] = entry{next * block, f.Size}
		d.put(next*block, data)
		next += up(f.Size, block) / block
	}

	dirs := isoFolders(all)
	for i := range dirs {
		dirs[i].at = next
		next++
	}

	for i := range dirs {
		records, err := isoRecords(dirs, i, all)
		if err != nil {
			return 0, err
		}

		d.put(dirs[i].at*block, records)
	}

	d.put(pathL*block, pathTable(dirs, binary.LittleEndian))
	d.put(pathM*block, pathTable(dirs, binary.BigEndian))
	d.put(isoFirst*block, primary(volume, d.Size/block, dirs, pathL, pathM))
	d.put(bootBlock*block, bootRecord(catalog))
	d.put((bootBlock+1)*block, append([]byte("\xffCD001\x01"), make([]byte, block-7)...))
	d.put(catalog*block, bootCatalog(boot/block, espAt/block))

	if next*block > limit {
		return 0, errors.New("laying out the CD: its programs are too large")
	}

	return boot, nil
}

// isoFolder is a directory of the CD; "" is the root.
type isoFolder struct {
	path string
	at   int64 // block
}

// isoFolders are the directories of the files, in the order of a path table.
func isoFolders(all map[string]entry) (dirs []isoFolder) {
	names := map[string]bool{"": true}

	for name := range all {
		if dir := path.Dir(name); dir != "." {
			names[dir] = true // one level is all there is
		}
	}

	for _, name := range slices.Sorted(maps.Keys(names)) {
		dirs = append(dirs, isoFolder{path: name})
	}

	return dirs
}

// both writes a number in both byte orders (§7.3.3).
func both(out []byte, v uint32) {
	binary.LittleEndian.PutUint32(out, v)
	binary.BigEndian.PutUint32(out[4:], v)
}

// record is a directory record (§9.1).
func record(name string, at, size int64, dir bool) []byte {
	n := 33 + len(name)
	r := make([]byte, n+n%2)
	r[0] = byte(len(r))
	both(r[2:], uint32(at))                     //nolint:gosec // a block of the image
	both(r[10:], uint32(size))                  //nolint:gosec // below 4 GiB
	copy(r[18:], []byte{125, 1, 1, 0, 0, 0, 0}) // 2025-01-01
	copy(r[28:], []byte{1, 0, 0, 1, byte(len(name))})
	copy(r[33:], name)

	if dir {
		r[25] = 2
	}

	return r
}

// isoName is a name as of level 1 (§7.5): upper case, with a version.
func isoName(name string) string {
	name = strings.ToUpper(name)
	if !strings.Contains(name, ".") {
		name += "."
	}

	return name + ";1"
}

// isoRecords is the content of a directory.
func isoRecords(dirs []isoFolder, i int, all map[string]entry) ([]byte, error) {
	out := slices.Concat(record("\x00", dirs[i].at, block, true), record("\x01", dirs[0].at, block, true))

	type named struct {
		name string
		data []byte
	}

	var list []named

	for k, dir := range dirs {
		if k > 0 && i == 0 {
			name := strings.ToUpper(dir.path)
			list = append(list, named{name, record(name, dir.at, block, true)})
		}
	}

	for name, e := range all {
		if dir := path.Dir(name); dir != dirs[i].path && (dir != "." || i != 0) {
			continue
		}

		if e.at%block != 0 {
			return nil, errors.New("laying out the CD: " + name + " does not begin with a block")
		}

		short := isoName(path.Base(name))
		list = append(list, named{short, record(short, e.at/block, e.size, false)})
	}

	slices.SortFunc(list, func(a, b named) int { return strings.Compare(a.name, b.name) })

	for _, n := range list {
		out = append(out, n.data...)
	}

	if len(out) > block {
		return nil, errors.New("laying out the CD: a folder has too many files")
	}

	return append(out, make([]byte, block-len(out))...), nil
}

// pathTable is §9.4.
func pathTable(dirs []isoFolder, order binary.AppendByteOrder) []byte {
	var out []byte

	for _, dir := range dirs {
		name := strings.ToUpper(dir.path)
		if name == "" {
			name = "\x00"
		}

		out = append(out, byte(len(name)), 0)
		out = order.AppendUint32(out, uint32(dir.at)) //nolint:gosec // a block of the image
		out = order.AppendUint16(out, 1)
		out = append(out, name...)
		out = append(out, make([]byte, len(name)%2)...)
	}

	return out
}

// primary is the primary volume descriptor (§8.4).
func primary(volume string, blocks int64, dirs []isoFolder, pathL, pathM uint32) []byte {
	p := make([]byte, block)
	copy(p, "\x01CD001\x01")
	copy(p[8:], bytes.Repeat([]byte{' '}, 64))
	copy(p[40:72], volume)
	both(p[80:], uint32(blocks)) //nolint:gosec // below 8 TiB
	copy(p[120:], []byte{1, 0, 0, 1, 1, 0, 0, 1, 0, 8, 8, 0})
	both(p[132:], uint32(len(pathTable(dirs, binary.LittleEndian)))) //nolint:gosec // a few folders
	binary.LittleEndian.PutUint32(p[140:], pathL)
	binary.BigEndian.PutUint32(p[148:], pathM)
	copy(p[156:], record("\x00", dirs[0].at, block, true))
	copy(p[190:], bytes.Repeat([]byte{' '}, 813-190))

	for _, at := range []int{813, 830, 847, 864} { // made, changed; never expires
		copy(p[at:], "0000000000000000\x00")
	}

	copy(p[813:], "2025010100000000")
	copy(p[830:], "2025010100000000")
	p[881] = 1

	return p
}

// bootRecord points to the boot catalogue (El Torito 1.0 §2.0).
func bootRecord(catalog uint32) []byte {
	r := make([]byte, block)
	copy(r, "\x00CD001\x01EL TORITO SPECIFICATION")
	binary.LittleEndian.PutUint32(r[71:], catalog)

	return r
}

// bootCatalog offers the BIOS program first, and the boot partition to UEFI, whose size
// of 0 means "to the end" (UEFI 2.10 §13.3.2.1).
func bootCatalog(bios, efi int64) []byte {
	c, le := make([]byte, block), binary.LittleEndian
	c[0], c[30], c[31] = 1, 0x55, 0xaa
	copy(c[4:], "VETTING")

	var sum uint16
	for i := 0; i < 32; i += 2 {
		sum += le.Uint16(c[i:])
	}

	le.PutUint16(c[28:], -sum)

	e := c[32:]
	e[0] = 0x88
	le.PutUint16(e[6:], 4)
	le.PutUint32(e[8:], uint32(bios)) //nolint:gosec // a block of the image

	copy(c[64:], []byte{0x91, 0xef, 1, 0}) // the last section: UEFI
	e = c[96:]
	e[0] = 0x88
	le.PutUint32(e[8:], uint32(efi)) //nolint:gosec // a block of the image

	return c
}

// bootInfo tells ISOLINUX where it lies (mkisofs, "boot information table").
func bootInfo(program []byte, at int64) {
	le := binary.LittleEndian

	var sum uint32
	for i := 64; i < len(program); i += 4 {
		var word [4]byte
		copy(word[:], program[i:])
		sum += le.Uint32(word[:])
	}

	le.PutUint32(program[8:], isoFirst)
	le.PutUint32(program[12:], uint32(at))           //nolint:gosec // a block of the image
	le.PutUint32(program[16:], uint32(len(program))) //nolint:gosec // some KB
	le.PutUint32(program[20:], sum)
	clear(program[24:64])
}
