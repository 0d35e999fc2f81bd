//go:build linux

package lab

import (
	"encoding/binary"
)

// The EFI system partition of the lab's disks: FAT16 with one file,
// EFI/BOOT/BOOTX64.EFI.
const (
	sectorSize = 512
	espStart   = 2048 // sectors from the start of the disk
	espSectors = 8192 // 4 MiB, enough clusters of one sector to count as FAT16

	fatSectors  = 32
	rootEntries = 512
	fatAt       = 1
	rootAt      = fatAt + 2*fatSectors
	dataAt      = rootAt + rootEntries*32/sectorSize
)

// systemPartition is the content of the partition up to its last file
// (Microsoft FAT specification, version 1.03).
func systemPartition() []byte {
	program := application()
	disk := make([]byte, (dataAt+2)*sectorSize+len(program))

	boot := disk[:sectorSize]
	copy(boot, "\xeb\x3c\x90LAB     ")
	binary.LittleEndian.PutUint16(boot[11:], sectorSize)
	boot[13] = 1                                    // sectors in a cluster
	binary.LittleEndian.PutUint16(boot[14:], fatAt) // reserved sectors
	boot[16] = 2                                    // FATs
	binary.LittleEndian.PutUint16(boot[17:], rootEntries)
	binary.LittleEndian.PutUint16(boot[19:], espSectors)
	boot[21] = 0xf8
	binary.LittleEndian.PutUint16(boot[22:], fatSectors)
	binary.LittleEndian.PutUint32(boot[28:], espStart)
	boot[36], boot[38] = 0x80, 0x29
	copy(boot[43:], "LAB ESP    FAT16   ")
	boot[510], boot[511] = 0x55, 0xaa

	// Clusters 2 and 3 are the directories, the program follows from 4 on.
	clusters := []uint16{0xfff8, 0xffff, 0xffff, 0xffff}
	for next := 5; next < 4+len(program)/sectorSize; next++ {
		clusters = append(clusters, uint16(next)) //nolint:gosec // a handful of clusters
	}

	clusters = append(clusters, 0xffff)

	for i, cluster := range clusters {
		binary.LittleEndian.PutUint16(disk[fatAt*sectorSize+2*i:], cluster)
		binary.LittleEndian.PutUint16(disk[(fatAt+fatSectors)*sectorSize+2*i:], cluster)
	}

	directory := func(sector int, entries ...[]byte) {
		for i, entry := range entries {
			copy(disk[sector*sectorSize+32*i:], entry)
		}
	}
	directory(rootAt, dirent("EFI        ", 0x10, 2, 0))
	directory(dataAt, dirent(".          ", 0x10, 2, 0), dirent("..         ", 0x10, 0, 0), dirent("BOOT       ", 0x10, 3, 0))
	directory(dataAt+1, dirent(".          ", 0x10, 3, 0), dirent("..         ", 0x10, 2, 0),
		dirent("BOOTX64 EFI", 0x20, 4, len(program)))
	copy(disk[(dataAt+2)*sectorSize:], program)

	return disk
}

// dirent is a directory entry with an 8.3 name.
func dirent(name string, attributes byte, cluster uint16, size int) []byte {
	entry := make([]byte, 32)
	copy(entry, name)
	entry[11] = attributes
	binary.LittleEndian.PutUint16(entry[26:], cluster)
	binary.LittleEndian.PutUint32(entry[28:], uint32(size)) //nolint:gosec // a kilobyte

	return entry
}

// application is an EFI program (PE32+, Microsoft PE format) that says
// LocalDiskBanner on the first serial port and halts. Its code is position
// independent, so that it needs no relocations.
func application() []byte {
	code := []byte{
		0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0x48, 0x8d, 0x35, 0x0b, 0, 0, 0, // lea rsi, [rip+text]
		0xfc,       // cld
		0xac,       // next: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz halt
		0xee,       // out dx, al
		0xeb, 0xf8, // jmp next
		0xf4,       // halt: hlt
		0xeb, 0xfd, // jmp halt
	}
	code[7] = byte(len(code) - 11) //nolint:gosec // the text follows the code

	image := make([]byte, 2*sectorSize)
	copy(image, "MZ")
	image[0x3c] = 0x40

	pe := image[0x40:]
	copy(pe, "PE\x00\x00\x64\x86\x01\x00")       // x86-64, one section
	binary.LittleEndian.PutUint16(pe[20:], 0xf0) // size of the optional header
	binary.LittleEndian.PutUint16(pe[22:], 0x22) // executable, any address

	optional := pe[24:]
	binary.LittleEndian.PutUint16(optional, 0x20b)          // PE32+
	binary.LittleEndian.PutUint32(optional[4:], sectorSize) // size of code
	binary.LittleEndian.PutUint32(optional[16:], 0x1000)    // entry point
	binary.LittleEndian.PutUint32(optional[20:], 0x1000)    // base of code
	binary.LittleEndian.PutUint32(optional[32:], 0x1000)    // section alignment
	binary.LittleEndian.PutUint32(optional[36:], sectorSize)
	binary.LittleEndian.PutUint32(optional[56:], 0x2000)     // size in memory
	binary.LittleEndian.PutUint32(optional[60:], sectorSize) // size of headers
	binary.LittleEndian.PutUint16(optional[68:], 10)         // EFI application
	binary.LittleEndian.PutUint32(optional[108:], 16)        // data directories, all empty

	section := optional[0xf0:]
	copy(section, ".text")
	binary.LittleEndian.PutUint32(section[8:], sectorSize)
	binary.LittleEndian.PutUint32(section[12:], 0x1000)
	binary.LittleEndian.PutUint32(section[16:], sectorSize)
	binary.LittleEndian.PutUint32(section[20:], sectorSize)
	binary.LittleEndian.PutUint32(section[36:], 0x60000020) // code, readable, executable

	copy(image[sectorSize+copy(image[sectorSize:], code):], "\r\n"+LocalDiskBanner+"\r\n\x00")

	return image
}
