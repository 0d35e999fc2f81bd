package stick

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Names that the parts of an image have.
const (
	BootLabel = "VETTINGBOOT" // the FAT file system
	DataLabel = "VETTING-DATA"

	// Appliance is where the appliance's program lies on the boot partition.
	Appliance = "vetting/vetting"
)

// bootAt is where the boot partition begins; the CD's own structures lie before it.
const bootAt = mib

// Loaders are the programs that the firmware starts, unmodified.
type Loaders struct {
	Shim, Menu []byte // UEFI: the shim, and systemd-boot, which it starts under GRUB's name
	// BIOS: the code of the first sector (isohdpfx.bin), isolinux.bin and ldlinux.c32.
	Sector, ISOLINUX, Module []byte
}

// Content is what an image boots.
type Content struct {
	Loaders

	Kernel    []byte
	Segments  [][]byte // of the initramfs, in their order
	Arguments string   // of the kernel
	Files     []File   // others of the boot partition
}

// Config says what image is made.
type Config struct {
	Content

	// Disk, Boot and Data are the ids of the disk and its partitions. Data is also the id
	// of the data partition's file system.
	Disk, Boot, Data GUID
	// Room is how large the data partition is, in bytes; 0: there is none.
	Room int64
	// Size is how large the image is at least; the data partition fills it, up to Most; 0:
	// however much that is.
	Size, Most int64

	Now time.Time
}

// Make lays out an image. The bytes of its parts are not copied and must not change
// before it is written.
func Make(c Config) (*Disk, error) {
	files, err := c.files()
	if err != nil {
		return nil, err
	}

	const end = 64 << 10 // for the second partition table, of 33 sectors

	cluster, size := fatSize(files)
	d := &Disk{Size: bootAt + size + end}

	room := c.Room / mib * mib
	if room > 0 {
		room = max(room, (c.Size-d.Size)/mib*mib)
		if c.Most > 0 {
			room = min(room, c.Most/mib*mib)
		}

		d.Size += room
	}

	d.Size = max(d.Size, c.Size/sector*sector)
	parts := []partition{{kind: typeESP(), id: c.Boot, at: bootAt, size: size, name: "vetting boot"}}

	where, err := d.fat(bootAt, size, cluster, BootLabel, binary.BigEndian.Uint32(c.Boot[:4]), files)
	if err != nil {
		return nil, err
	}

	boot, err := d.iso(c.cd(where), "VETTING", bootAt, bootAt)
	if err != nil {
		return nil, err
	}

	if room > 0 {
		parts = append(parts, partition{kind: typeLinux(), id: c.Data, at: bootAt + size, size: room, name: "vetting data"})
		if err := d.ext4(bootAt+size, room, c.Data, DataLabel, c.Now); err != nil {
			return nil, err
		}
	}

	if err := d.gpt(c.Disk, c.sector(boot), parts); err != nil {
		return nil, err
	}

	return d, d.settle()
}

// sector is the code of the first sector, which is told where ISOLINUX lies (isohybrid).
func (c *Config) sector(boot int64) []byte {
	const at = 432

	code := append(append([]byte{}, c.Sector...), make([]byte, at+12-len(c.Sector))...)
	binary.LittleEndian.PutUint64(code[at:], uint64(boot/sector)) //nolint:gosec // near the front
	copy(code[at+8:], c.Disk[:4])

	return code
}

func whole(name string, data []byte) File {
	return File{Path: name, Size: int64(len(data)), Data: bytes.NewReader(data)}
}

func (c *Content) segment(i int) string { return fmt.Sprintf("boot/segment%d.img", i) }

const kernelFile = "boot/kernel.img"

// files are those of the boot partition.
func (c *Content) files() ([]File, error) {
	if len(c.Kernel) == 0 || len(c.Segments) == 0 || len(c.Sector) > 432 || len(c.ISOLINUX) < 64 {
		return nil, errors.New("laying out the image: the kernel, the segments or a loader is missing")
	}

	if strings.ContainsAny(c.Arguments, "\r\n") {
		return nil, errors.New("laying out the image: the kernel's arguments are one line")
	}

	list := []File{
		whole("EFI/BOOT/BOOTX64.EFI", c.Shim), whole("EFI/BOOT/grubx64.efi", c.Menu),
		whole("loader/loader.conf", []byte("timeout 0\ndefault vetting.conf\neditor no\n")),
		whole(kernelFile, c.Kernel),
	}
	menu := []string{"title vetting", "linux /" + kernelFile}

	for i, data := range c.Segments {
		list = append(list, whole(c.segment(i), data))
		menu = append(menu, "initrd /"+c.segment(i))
	}

	menu = append(menu, "options "+c.Arguments, "")

	return append(append(list, whole("loader/entries/vetting.conf", []byte(strings.Join(menu, "\n")))), c.Files...), nil
}

// cd is the same for ISOLINUX.
func (c *Content) cd(where map[string]int64) cd {
	there, names := map[string]entry{kernelFile: {where[kernelFile], int64(len(c.Kernel))}}, make([]string, len(c.Segments))

	for i, data := range c.Segments {
		names[i] = "/" + c.segment(i)
		there[c.segment(i)] = entry{where[c.segment(i)], int64(len(data))}
	}

	// Port 0 at 115200 bits a second, as the kernel's console; ISOLINUX goes on without one.
	text := "serial 0 115200\ndefault vetting\nprompt 0\ntimeout 0\nlabel vetting\n linux /" + kernelFile +
		"\n initrd " + strings.Join(names, ",") + "\n append " + c.Arguments + "\n"

	return cd{
		own: []File{
			whole(bootName, c.ISOLINUX), whole("isolinux/isolinux.cfg", []byte(text)), whole("isolinux/ldlinux.c32", c.Module),
		},
		there: there,
	}
}

// At is a part of somebody's file, as a File of the image.
func At(name string, r io.ReaderAt, size int64) File { return File{Path: name, Size: size, Data: r} }
