// Package uki makes unified kernel images: systemd's EFI stub with the kernel, its
// initrd and its arguments appended as sections of the PE file (UAPI.5, "Unified
// Kernel Image"; Microsoft PE Format). Firmware starts such a file by itself, without
// any boot program. Ours is made for one machine, since its arguments are inside.
package uki

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Parts are what the image is made of, besides the stub.
type Parts struct {
	OSRelease string // os-release(5); what boot menus show
	Cmdline   string // kernel arguments
	// Initrd is what the kernel unpacks, one after the other; each must have a
	// length that is a multiple of 4. Kernel is a bzImage with an EFI stub. Both are
	// not copied and must not be changed any more.
	Initrd [][]byte
	Kernel []byte
}

// Image is a unified kernel image. It holds what its parts are made of and copies
// only as much as its headers need: an image for each of many machines costs 100 kB,
// not 45 MB. Safe for concurrent use.
type Image struct {
	pieces []piece
	size   int64
}

// piece is a run of bytes of the file.
type piece struct {
	at   int64
	data []byte
}

// Layout of a PE file: offsets from the start of the COFF header, and from the start of
// the optional header behind it (PE Format, "COFF File Header", "Optional Header").
const (
	dosHeader    = 0x3c // where the DOS header says where the PE header is
	coffSize     = 20
	coffSections = 2
	coffSymbols  = 8 // where they are, and how many
	coffOptional = 16
	optionalData = 8  // SizeOfInitializedData
	optionalVirt = 32 // SectionAlignment
	optionalRaw  = 36 // FileAlignment
	optionalSize = 56 // SizeOfImage
	optionalHead = 60 // SizeOfHeaders
	optionalSum  = 64 // CheckSum
	plus64       = 0x20b
	entrySize    = 40
	readableData = 0x40000040 // IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ

	maxSections = 96 // what Windows' loader takes, and more than any stub has
	maxAlign    = 1 << 16
)

var errStub = errors.New("this is not an EFI stub that sections can be appended to")

// header is the stub's, as far as it is changed.
type header struct {
	stub            []byte // a copy
	coff, optional  int
	table, sections int
	virt, raw       uint32 // alignments
	data            uint32 // SizeOfInitializedData
	next            uint64 // first free virtual address
}

// New appends the parts to a copy of the stub.
func New(stub []byte, parts Parts) (*Image, error) {
	h, err := parse(stub)
	if err != nil {
		return nil, err
	}

	image := &Image{}

	for i := range parts.Initrd {
		if len(parts.Initrd[i])%4 != 0 {
			return nil, fmt.Errorf("segment %d of the initrd has %d bytes, not a multiple of 4", i, len(parts.Initrd[i]))
		}
	}

	// The kernel comes last: the stub may use the memory behind it.
	at := int64(len(h.stub))
	for _, s := range []struct {
		name string
		data [][]byte
	}{
		{".osrel", [][]byte{[]byte(parts.OSRelease)}},
		{".cmdline", [][]byte{[]byte(parts.Cmdline)}},
		{".initrd", parts.Initrd},
		{".linux", [][]byte{parts.Kernel}},
	} {
		at = align(at, int64(h.raw))

		if at, err = image.add(h, s.name, at, s.data); err != nil {
			return nil, err
		}
	}

	h.finish()

	image.pieces = append([]piece{{data: h.stub}}, image.pieces...)
	image.size = align(at, int64(h.raw))

	return image, nil
}

// add appends a section at a place in the file and returns where it ends.
func (i *Image) add(h *header, name string, at int64, data [][]byte) (end int64, err error) {
	size := int64(0)

	for _, d := range data {
		if len(d) > 0 {
			i.pieces = append(i.pieces, piece{at: at + size, data: d})
		}

		size += int64(len(d))
	}

	if size == 0 {
		return 0, fmt.Errorf("the section %s of the image would be empty", name)
	}

	return at + size, h.append(name, at, size)
}

// parse reads the headers of a stub.
func parse(stub []byte) (*header, error) {
	if len(stub) < dosHeader+4 || string(stub[:2]) != "MZ" || len(stub) > 1<<24 {
		return nil, errStub
	}

	pe := int64(binary.LittleEndian.Uint32(stub[dosHeader:]))
	if pe+4+coffSize > int64(len(stub)) || string(stub[pe:pe+4]) != "PE\x00\x00" {
		return nil, errStub
	}

	h := &header{stub: append([]byte(nil), stub...), coff: int(pe) + 4}
	h.optional = h.coff + coffSize
	h.sections = int(binary.LittleEndian.Uint16(stub[h.coff+coffSections:]))
	h.table = h.optional + int(binary.LittleEndian.Uint16(stub[h.coff+coffOptional:]))

	if h.table-h.optional < optionalSum+4 || h.sections == 0 || h.sections > maxSections || h.table+h.sections*entrySize > len(stub) ||
		binary.LittleEndian.Uint16(stub[h.optional:]) != plus64 {
		return nil, errStub
	}

	// Where symbols are said to lie, there is a section of ours afterwards.
	if binary.LittleEndian.Uint64(stub[h.coff+coffSymbols:]) != 0 {
		return nil, errStub
	}

	h.virt, h.raw = h.word(optionalVirt), h.word(optionalRaw)
	h.data = h.word(optionalData)

	if !isAlignment(h.virt) || !isAlignment(h.raw) {
		return nil, errStub
	}

	for n := range h.sections {
		entry := stub[h.table+n*entrySize:]
		end := uint64(binary.LittleEndian.Uint32(entry[12:])) + uint64(binary.LittleEndian.Uint32(entry[8:]))
		h.next = max(h.next, end)
	}

	return h, nil
}

func isAlignment(n uint32) bool { return n >= 16 && n <= maxAlign && n&(n-1) == 0 }

func (h *header) word(offset int) uint32 {
	return binary.LittleEndian.Uint32(h.stub[h.optional+offset:])
}

func (h *header) set(offset int, value uint32) {
	binary.LittleEndian.PutUint32(h.stub[h.optional+offset:], value)
}

// append writes the entry of a section that lies at a place in the file.
func (h *header) append(name string, at, size int64) error {
	address := alignUp(h.next, uint64(h.virt))
	entry := h.table + h.sections*entrySize
	stored := align(size, int64(h.raw))

	if entry+entrySize > min(int(h.word(optionalHead)), len(h.stub)) {
		return errors.New("the stub's header has no room for another section")
	}

	for _, b := range h.stub[entry : entry+entrySize] {
		if b != 0 {
			return errors.New("behind the stub's table of sections there is something else")
		}
	}

	if at+stored > math.MaxInt32 || address+uint64(size) > math.MaxInt32 { //nolint:gosec // lengths
		return fmt.Errorf("with the section %s the image would be larger than 2 GiB", name)
	}

	b := h.stub[entry:]
	copy(b[:8], name)
	binary.LittleEndian.PutUint32(b[8:], uint32(size))     //nolint:gosec // below 2 GiB
	binary.LittleEndian.PutUint32(b[12:], uint32(address)) //nolint:gosec // likewise
	binary.LittleEndian.PutUint32(b[16:], uint32(stored))  //nolint:gosec // likewise
	binary.LittleEndian.PutUint32(b[20:], uint32(at))      //nolint:gosec // likewise
	binary.LittleEndian.PutUint32(b[36:], readableData)

	h.sections++
	h.data += uint32(stored)        //nolint:gosec // likewise
	h.next = address + uint64(size) //nolint:gosec // a length

	return nil
}

// finish writes what depends on all sections.
func (h *header) finish() {
	binary.LittleEndian.PutUint16(h.stub[h.coff+coffSections:], uint16(h.sections)) //nolint:gosec // under a hundred
	h.set(optionalData, h.data)
	h.set(optionalSize, uint32(alignUp(h.next, uint64(h.virt)))) //nolint:gosec // below 2 GiB, as append saw to
	h.set(optionalSum, 0)                                        // which nothing checks but Windows' drivers
}

func align(n, to int64) int64 { return (n + to - 1) / to * to }

func alignUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

// Size is the length of the file in bytes.
func (i *Image) Size() int64 { return i.size }

// Head is the part of the file that was made for this image: stub, headers, arguments.
// Callers must not change it.
func (i *Image) Head() (head []byte) {
	for _, p := range i.pieces[:3] {
		head = append(head, p.data...)
	}

	return head
}

// ReadAt reads from the file. What lies between sections is zero.
func (i *Image) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("reading an image: negative offset")
	}

	if off >= i.size {
		return 0, io.EOF
	}

	n = int(min(int64(len(b)), i.size-off))
	clear(b[:n])

	for _, p := range i.pieces {
		if from := off - p.at; from >= 0 && from < int64(len(p.data)) {
			copy(b[:n], p.data[from:])
		} else if from < 0 && -from < int64(n) {
			copy(b[-from:n], p.data)
		}
	}

	if n < len(b) {
		return n, io.EOF
	}

	return n, nil
}
