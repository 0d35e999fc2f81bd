//go:build linux

package lab

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bus is how a disk is attached.
type Bus string

// The buses.
const (
	SATA   Bus = "sata"
	NVMe   Bus = "nvme"
	VirtIO Bus = "virtio"
	USB    Bus = "usb"
)

// Disk is a disk of a machine. Its image is sparse, so the size is free.
type Disk struct {
	Bus    Bus
	Model  string // SATA only: QEMU's NVMe controller has a fixed one
	Serial string
	WWN    uint64 // SATA only; 0: none
	Bytes  int64
	Blank  bool // nothing is on it, and no machine boots from it
}

const block = 4096

// bootSector is what the lab's disks begin with: one partition (the EFI system
// partition), and code for a BIOS that says LocalDiskBanner on the first serial
// port and halts: proof that a machine went to its own disk. 16-bit code at
// 0000:7C00.
func bootSector() []byte {
	code := []byte{
		0xfa,       // cli
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0xbe, 0x00, 0x00, // mov si, text (patched below)
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0xfc,       // cld
		0xac,       // next: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz halt
		0xee,       // out dx, al
		0xeb, 0xf8, // jmp next
		0xf4,       // halt: hlt
		0xeb, 0xfd, // jmp halt
	}
	binary.LittleEndian.PutUint16(code[6:], uint16(0x7c00+len(code))) //nolint:gosec // 22 bytes of code

	sector := make([]byte, 512)
	copy(sector[copy(sector, code):], "\r\n"+LocalDiskBanner+"\r\n\x00")

	// The first of four partition entries (UEFI specification, 5.2.1).
	entry := sector[446:]
	entry[4] = 0xef // EFI system partition
	binary.LittleEndian.PutUint32(entry[8:], espStart)
	binary.LittleEndian.PutUint32(entry[12:], espSectors)

	sector[510], sector[511] = 0x55, 0xaa

	return sector
}

// LocalDiskBanner is what a machine says on its serial console when it was left
// to boot from its own disk.
const LocalDiskBanner = "lab: booted from the local disk"

// create makes the disk's image: a boot sector and data strewn over it, which
// must be the same afterwards.
func (d Disk) create(path string) error {
	file, err := os.Create(path) //nolint:gosec // a path of the lab's own
	if err != nil {
		return fmt.Errorf("making disk %s: %w", d.Serial, err)
	}

	return errors.Join(d.fill(file), file.Close())
}

func (d Disk) fill(file *os.File) error {
	if err := file.Truncate(d.Bytes); err != nil {
		return fmt.Errorf("sizing disk %s: %w", d.Serial, err)
	}

	if d.Blank {
		return file.Sync()
	}

	for at, content := range map[int64][]byte{0: bootSector(), espStart * sectorSize: systemPartition()} {
		if _, err := file.WriteAt(content, at); err != nil {
			return fmt.Errorf("making disk %s bootable: %w", d.Serial, err)
		}
	}

	seed := sha256.Sum256([]byte(d.Serial))
	source := rand.NewChaCha8(seed)
	data := make([]byte, 16*block)

	for i := range int64(64) {
		if _, err := source.Read(data); err != nil {
			return fmt.Errorf("filling disk %s: %w", d.Serial, err)
		}

		// From 8 MiB on, past the partition.
		at := 8<<20 + i*((d.Bytes-9<<20)/64/block)*block
		if _, err := file.WriteAt(data, at); err != nil {
			return fmt.Errorf("filling disk %s: %w", d.Serial, err)
		}
	}

	return file.Sync()
}

// fingerprint is a hash over everything on the image that is not zero, and where
// it is, and over how much is allocated: writing zeros into a hole shows too.
func fingerprint(path string) (string, error) {
	file, err := os.Open(path) //nolint:gosec // a path of the lab's own
	if err != nil {
		return "", fmt.Errorf("opening disk image: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read

	if err := file.Sync(); err != nil {
		return "", fmt.Errorf("settling disk image: %w", err)
	}

	sum := sha256.New()

	for at := int64(0); ; {
		from, err := file.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}

		if err != nil {
			return "", fmt.Errorf("finding data in disk image: %w", err)
		}

		if at, err = file.Seek(from, unix.SEEK_HOLE); err != nil {
			return "", fmt.Errorf("finding holes in disk image: %w", err)
		}

		if err := hashExtent(sum, io.NewSectionReader(file, from, at-from), from); err != nil {
			return "", err
		}
	}

	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("measuring disk image: %w", err)
	}

	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok {
		fmt.Fprintf(sum, "%d blocks of %d bytes", stat.Blocks, stat.Size)
	}

	return hex.EncodeToString(sum.Sum(nil)), nil
}

// hashExtent adds the blocks of an extent that are not zero.
func hashExtent(sum io.Writer, extent io.Reader, at int64) error {
	var zero, data [block]byte

	for ; ; at += block {
		n, err := io.ReadFull(extent, data[:])
		if n > 0 && !bytes.Equal(data[:n], zero[:n]) {
			fmt.Fprintf(sum, "%d\n", at)
			_, _ = sum.Write(data[:n]) //nolint:errcheck // a hash takes everything
		}

		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading disk image: %w", err)
		}
	}
}
