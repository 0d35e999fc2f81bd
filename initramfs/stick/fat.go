package stick

import (
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf16"
)

// File is a file of the boot partition. Path is below its root, with slashes; names
// are plain ASCII.
type File struct {
	Path string
	Size int64
	Data io.ReaderAt
}

// FAT32 as of Microsoft's "FAT32 File System Specification" 1.03. There must be at
// least 65525 clusters, or readers take it for FAT16.
const (
	fatReserved = 32
	fatCount    = 2
	fatLeast    = 65525 + 16
	fatEnd      = 0x0fffffff
	direntSize  = 32
	// fatDate and fatTime are 2025-01-01 00:00: the same content gives the same bytes.
	fatDate = (2025-1980)<<9 | 1<<5 | 1
)

// fat is a FAT32 file system that is laid out and never changed.
type fat struct {
	at       int64 // in the image
	cluster  int64 // bytes
	table    int64 // sectors of each table
	clusters int64
	next     int64 // first cluster that is free
	links    map[int64]int64
	root     *folder
	where    map[string]int64 // path → byte in the image
}

// folder is a directory; its files are in the order of their names.
type folder struct {
	name    string
	path    string
	first   int64
	size    int64 // bytes of its entries
	folders []*folder
	files   []File
}

// fatSize says how a file system for these files is laid out: how large its clusters
// are, and how many bytes it needs.
func fatSize(files []File) (cluster, size int64) {
	var content int64
	for _, f := range files {
		content += up(f.Size, block) + 2*block
	}

	const spare = 64 << 10 // for the root folder and the last of its clusters

	cluster = sector
	for cluster < 8*block && (content+spare)/(2*cluster) >= fatLeast {
		cluster *= 2
	}

	clusters := max((content+spare)/cluster, fatLeast)
	tables := fatCount * up(4*(clusters+2), sector)

	return cluster, up(fatReserved*sector+tables+block+(clusters+8)*cluster, mib)
}

// fat puts a file system with the files on the disk, from byte at on, and returns
// where each file lies. Every file is in one stretch that begins at a whole block of a
// CD.
func (d *Disk) fat(at, size, cluster int64, label string, volume uint32, files []File) (where map[string]int64, err error) {
	f := &fat{at: at, cluster: cluster, next: 2, links: map[int64]int64{}, root: &folder{}, where: map[string]int64{}}

	// The tables are a little larger than needed, so that the data begins at a whole block.
	sectors := size / sector
	f.table = up(4*((sectors-fatReserved)*sector/cluster+2), sector) / sector

	for (fatReserved+fatCount*f.table)*sector%block != 0 {
		f.table++
	}

	f.clusters = (sectors - fatReserved - fatCount*f.table) * sector / cluster
	if f.clusters < 65525 {
		return nil, fmt.Errorf("laying out the boot partition: %d clusters are too few", f.clusters)
	}

	for _, file := range files {
		if err := f.root.add(strings.Split(path.Clean(file.Path), "/"), file); err != nil {
			return nil, err
		}
	}

	f.allot(f.root)

	if err := d.fatFolder(f, f.root, nil, label); err != nil {
		return nil, err
	}

	if f.next-2 > f.clusters {
		return nil, fmt.Errorf("laying out the boot partition: %d clusters are too few for %d", f.clusters, f.next-2)
	}

	d.fatHead(f, sectors, volume, label)
	d.fatTables(f)

	return f.where, nil
}

// add puts a file below a folder.
func (o *folder) add(names []string, file File) error {
	if !validName(names[0]) {
		return fmt.Errorf("laying out the boot partition: %q is no name", names[0])
	}

	if len(names) == 1 {
		o.files = append(o.files, File{Path: names[0], Size: file.Size, Data: file.Data})

		return nil
	}

	for _, sub := range o.folders {
		if strings.EqualFold(sub.name, names[0]) {
			return sub.add(names[1:], file)
		}
	}

	sub := &folder{name: names[0], path: path.Join(o.path, names[0])}
	o.folders = append(o.folders, sub)

	return sub.add(names[1:], file)
}

func validName(name string) bool {
	return name != "" && len(name) <= 64 && name != "." && name != ".." &&
		strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// take gives clusters to somebody.
func (f *fat) take(bytes int64) (first int64) {
	for f.offset(f.next)%block != 0 { // whole blocks of the CD
		f.next++
	}

	first = f.next
	n := max(1, up(bytes, f.cluster)/f.cluster)

	for i := first; i < first+n-1; i++ {
		f.links[i] = i + 1
	}

	f.links[first+n-1] = fatEnd
	f.next = first + n

	return first
}

// offset is where a cluster lies in the image.
func (f *fat) offset(cluster int64) int64 {
	return f.at + (fatReserved+fatCount*f.table)*sector + (cluster-2)*f.cluster
}

// allot gives every folder its clusters.
func (f *fat) allot(o *folder) {
	n := int64(2) // . and .., or the label
	for _, sub := range o.folders {
		n += 1 + longEntries(sub.name)
	}

	for _, file := range o.files {
		n += 1 + longEntries(file.Path)
	}

	o.size = up(n*direntSize, f.cluster)
	o.first = f.take(o.size)

	for _, sub := range o.folders {
		f.allot(sub)
	}
}

// fatFolder puts a folder and what is in it on the disk.
func (d *Disk) fatFolder(f *fat, o, parent *folder, label string) error {
	var out []byte

	if parent == nil {
		out = append(out, dirent(pad(label), 0x08, 0, 0)...)
	} else {
		above := parent.first
		if parent == f.root {
			above = 0
		}

		out = append(out, dirent(pad("."), 0x10, o.first, 0)...)
		out = append(out, dirent(pad(".."), 0x10, above, 0)...)
	}

	short := map[string]bool{}

	for _, sub := range o.folders {
		out = append(out, entries(sub.name, short, 0x10, sub.first, 0)...)

		if err := d.fatFolder(f, sub, o, label); err != nil {
			return err
		}
	}

	for _, file := range o.files {
		if file.Size >= 1<<32-1 {
			return fmt.Errorf("laying out the boot partition: %s is too large", file.Path)
		}

		first := int64(0)
		if file.Size > 0 {
			first = f.take(file.Size)
			d.pieces = append(d.pieces, piece{at: f.offset(first), size: file.Size, data: file.Data})
		}

		f.where[path.Join(o.path, file.Path)] = f.offset(first)
		out = append(out, entries(file.Path, short, 0x21, first, file.Size)...)
	}

	d.put(f.offset(o.first), append(out, make([]byte, o.size-int64(len(out)))...))

	return nil
}

// fatHead writes the boot sector, FSInfo, and their copies.
func (d *Disk) fatHead(f *fat, sectors int64, volume uint32, label string) {
	b, le := make([]byte, sector), binary.LittleEndian
	copy(b, []byte{0xeb, 0x58, 0x90})
	copy(b[3:], "VETTING ")
	le.PutUint16(b[11:], sector)
	b[13] = byte(f.cluster / sector)
	le.PutUint16(b[14:], fatReserved)
	b[16] = fatCount
	b[21] = 0xf8
	le.PutUint16(b[24:], 63)
	le.PutUint16(b[26:], 255)
	le.PutUint32(b[28:], uint32(f.at/sector))  //nolint:gosec // at the front of the disk
	le.PutUint32(b[32:], uint32(sectors))      //nolint:gosec // far below 2 TiB
	le.PutUint32(b[36:], uint32(f.table))      //nolint:gosec // smaller still
	le.PutUint32(b[44:], uint32(f.root.first)) //nolint:gosec // 2
	le.PutUint16(b[48:], 1)
	le.PutUint16(b[50:], 6)
	b[64], b[66] = 0x80, 0x29
	le.PutUint32(b[67:], volume)
	copy(b[71:], pad(label))
	copy(b[82:], "FAT32   ")
	b[510], b[511] = 0x55, 0xaa

	info := make([]byte, sector)
	copy(info, "RRaA")
	copy(info[484:], "rrAa")
	le.PutUint32(info[488:], uint32(f.clusters-int64(len(f.links)))) //nolint:gosec // clusters fit 28 bits
	le.PutUint32(info[492:], uint32(f.next))                         //nolint:gosec // clusters fit 28 bits
	info[510], info[511] = 0x55, 0xaa

	third := make([]byte, sector)
	third[510], third[511] = 0x55, 0xaa

	head := make([]byte, fatReserved*sector)
	for _, at := range []int{0, 6} {
		copy(head[at*sector:], slices.Concat(b, info, third))
	}

	d.put(f.at, head)
}

func (d *Disk) fatTables(f *fat) {
	table, le := make([]byte, f.table*sector), binary.LittleEndian
	le.PutUint32(table, 0x0ffffff8)
	le.PutUint32(table[4:], fatEnd)

	for from, to := range f.links {
		le.PutUint32(table[4*from:], uint32(to)) //nolint:gosec // clusters fit 28 bits
	}

	for i := range int64(fatCount) {
		d.put(f.at+(fatReserved+i*f.table)*sector, table)
	}
}

func pad(name string) string { return (name + strings.Repeat(" ", 11))[:11] }

func dirent(name string, kind byte, first, size int64) []byte {
	e, le := make([]byte, direntSize), binary.LittleEndian
	copy(e, name)
	e[11] = kind
	le.PutUint16(e[16:], fatDate)
	le.PutUint16(e[18:], fatDate)
	le.PutUint16(e[20:], uint16(first>>16)) //nolint:gosec // the upper half
	le.PutUint16(e[24:], fatDate)
	le.PutUint16(e[26:], uint16(first&0xffff)) //nolint:gosec // the lower half
	le.PutUint32(e[28:], uint32(size))         //nolint:gosec // checked by the caller

	return e
}

// isShort reports whether a name needs no long entry.
func isShort(name string) bool {
	stem, ext, _ := strings.Cut(name, ".")

	return name == strings.ToUpper(name) && len(stem) >= 1 && len(stem) <= 8 && len(ext) <= 3 && !strings.Contains(ext, ".")
}

// longChars is how many characters a long entry holds.
const longChars = 13

func longEntries(name string) int64 {
	if isShort(name) {
		return 0
	}

	return int64((len(name) + longChars - 1) / longChars)
}

// shorten makes the 8.3 form that no other name of the folder has.
func shorten(name string, taken map[string]bool) string {
	stem, ext := strings.ToUpper(name), ""
	if i := strings.LastIndexByte(stem, '.'); i > 0 {
		stem, ext = stem[:i], stem[i+1:]
	}

	if isShort(name) {
		taken[stem+"."+ext] = true

		return (stem + "        ")[:8] + (ext + "   ")[:3]
	}

	stem, ext = strings.ReplaceAll(stem, ".", "_"), ext[:min(3, len(ext))]

	for n := 1; ; n++ {
		tail := fmt.Sprintf("~%d", n)
		short := stem[:min(len(stem), 8-len(tail))] + tail

		if !taken[short+"."+ext] {
			taken[short+"."+ext] = true

			return (short + "        ")[:8] + (ext + "   ")[:3]
		}
	}
}

// entries are those of one name: the long ones, last part first, then the short one.
func entries(name string, taken map[string]bool, kind byte, first, size int64) (out []byte) {
	short := shorten(name, taken)
	n := int(longEntries(name))

	var sum byte
	for _, c := range []byte(short) {
		sum = sum>>1 | sum<<7
		sum += c
	}

	units := utf16.Encode([]rune(name))

	for i := n; i >= 1; i-- {
		e := make([]byte, direntSize)
		e[0], e[11], e[13] = byte(i), 0x0f, sum

		if i == n {
			e[0] |= 0x40
		}

		for k, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
			unit := uint16(0xffff)

			switch at2 := (i-1)*longChars + k; {
			case at2 < len(units):
				unit = units[at2]
			case at2 == len(units):
				unit = 0
			}

			binary.LittleEndian.PutUint16(e[at:], unit)
		}

		out = append(out, e...)
	}

	return append(out, dirent(short, kind, first, size)...)
}
