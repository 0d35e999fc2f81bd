package uki_test

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"vetting/netboot/uki"
	"vetting/netboot/uki/ukitest"
)

func parts() uki.Parts {
	return uki.Parts{
		OSRelease: "ID=vetting\n", Cmdline: "BOOTIF=01-52-54-00-00-00-01 console=tty0",
		Initrd: [][]byte{bytes.Repeat([]byte("base"), 300), bytes.Repeat([]byte("modu"), 501), nil},
		Kernel: bytes.Repeat([]byte("kernel "), 999),
	}
}

func whole(t testing.TB, image *uki.Image) []byte {
	t.Helper()

	b, err := io.ReadAll(io.NewSectionReader(image, 0, image.Size()))
	if err != nil || int64(len(b)) != image.Size() {
		t.Fatalf("read %d of %d bytes: %v", len(b), image.Size(), err)
	}

	return b
}

// Another's reader must find in the file what went in, where firmware will load it.
func TestAnotherReaderFindsThePartsInTheImage(t *testing.T) {
	in := parts()

	image, err := uki.New(ukitest.Stub(), in)
	if err != nil {
		t.Fatal(err)
	}

	data := whole(t, image)

	file, err := pe.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}

	header, ok := file.OptionalHeader.(*pe.OptionalHeader64)
	if !ok || header.CheckSum != 0 || header.AddressOfEntryPoint != 0x1000 {
		t.Errorf("header %+v", header)
	}

	want := map[string]string{
		".osrel": in.OSRelease, ".cmdline": in.Cmdline, ".initrd": string(bytes.Join(in.Initrd, nil)), ".linux": string(in.Kernel),
	}
	end, stored := uint32(0), uint32(0)

	var names []string

	for _, s := range file.Sections {
		names = append(names, s.Name)

		if s.VirtualAddress < end || s.VirtualAddress%header.SectionAlignment != 0 || s.Offset%header.FileAlignment != 0 || s.Size%header.FileAlignment != 0 {
			t.Errorf("%s lies at %#x (%#x in the file), the one before ends at %#x", s.Name, s.VirtualAddress, s.Offset, end)
		}

		end = s.VirtualAddress + s.VirtualSize

		if text, mine := want[s.Name]; mine {
			stored += s.Size

			got, err := io.ReadAll(io.NewSectionReader(s, 0, int64(s.VirtualSize)))
			if err != nil || string(got) != text || s.Characteristics != pe.IMAGE_SCN_CNT_INITIALIZED_DATA|pe.IMAGE_SCN_MEM_READ {
				t.Errorf("%s has %d bytes, want %d (%v, %#x)", s.Name, len(got), len(text), err, s.Characteristics)
			}
		}
	}

	if got := strings.Join(names, " "); got != ".text .osrel .cmdline .initrd .linux" {
		t.Errorf("sections %s: the kernel must be the last", got)
	}

	if header.SizeOfImage < end || header.SizeOfImage%header.SectionAlignment != 0 || header.SizeOfInitializedData != stored {
		t.Errorf("image of %#x bytes, data of %#x; the sections end at %#x and hold %#x", header.SizeOfImage, header.SizeOfInitializedData, end, stored)
	}

	// What was there before is there still.
	if stub := ukitest.Stub(); !bytes.Equal(data[0x400:0x600], stub[0x400:0x600]) {
		t.Error("the stub's own code has changed")
	}
}

// TFTP reads it in small blocks, HTTP in large ones, both from anywhere.
func TestTheImageReadsAlikeInAnyPieces(t *testing.T) {
	image, err := uki.New(ukitest.Stub(), parts())
	if err != nil {
		t.Fatal(err)
	}

	all := whole(t, image)
	if err := iotest.TestReader(io.NewSectionReader(image, 0, image.Size()), all); err != nil {
		t.Error(err)
	}

	random := rand.New(rand.NewPCG(1, 2))

	for range 2000 {
		from := random.Int64N(image.Size())
		b := bytes.Repeat([]byte{0xee}, 1+random.IntN(3000))

		n, err := image.ReadAt(b, from)
		if !bytes.Equal(b[:n], all[from:from+int64(n)]) || (n < len(b)) != errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes from %d: %d, %v", len(b), from, n, err)
		}
	}

	if _, err := image.ReadAt(make([]byte, 1), image.Size()); !errors.Is(err, io.EOF) {
		t.Errorf("past the end: %v", err)
	}
}

// An image for each of 256 machines must not cost 256 times 45 MB.
func TestTheImageDoesNotCopyItsParts(t *testing.T) {
	in := parts()
	in.Kernel = make([]byte, 32<<20)

	perImage := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()

		for b.Loop() {
			if _, err := uki.New(ukitest.Stub(), in); err != nil {
				b.Fatal(err)
			}
		}
	})

	if got := perImage.AllocedBytesPerOp(); got > 64<<10 {
		t.Errorf("an image takes %d bytes", got)
	}
}

func TestStubsAndPartsThatMakeNoImage(t *testing.T) {
	spoilt := func(change func(b []byte)) []byte {
		b := ukitest.Stub()
		change(b)

		return b
	}

	for name, c := range map[string]struct {
		stub  []byte
		parts func(p *uki.Parts)
	}{
		"nothing":                    {stub: nil},
		"a script":                   {stub: []byte("#!/bin/sh\n" + strings.Repeat("x", 1000))},
		"a header far away":          {stub: spoilt(func(b []byte) { binary.LittleEndian.PutUint32(b[0x3c:], 0xffffffff) })},
		"a program of 32 bits":       {stub: spoilt(func(b []byte) { binary.LittleEndian.PutUint16(b[0x98:], 0x10b) })},
		"no alignment":               {stub: spoilt(func(b []byte) { binary.LittleEndian.PutUint32(b[0x98+32:], 0) })},
		"a table that is cut":        {stub: spoilt(func(b []byte) { binary.LittleEndian.PutUint16(b[0x86:], 90) })},
		"a header without room":      {stub: spoilt(func(b []byte) { binary.LittleEndian.PutUint32(b[0x98+60:], 0x1b0) })},
		"symbols":                    {stub: spoilt(func(b []byte) { b[0x84+12] = 1 })},
		"something behind the table": {stub: spoilt(func(b []byte) { b[0x98+240+41] = 1 })},
		"an odd segment":             {parts: func(p *uki.Parts) { p.Initrd[1] = p.Initrd[1][1:] }},
		"no kernel":                  {parts: func(p *uki.Parts) { p.Kernel = nil }},
		"no arguments":               {parts: func(p *uki.Parts) { p.Cmdline = "" }},
	} {
		stub, in := c.stub, parts()
		if c.parts != nil {
			stub = ukitest.Stub()
			c.parts(&in)
		}

		if _, err := uki.New(stub, in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzStub: whatever the stub, there is an error, or a file with its bytes in front
// and the parts behind, that another's reader takes as far as it takes the stub.
func FuzzStub(f *testing.F) {
	f.Add(ukitest.Stub())
	f.Add([]byte("MZ"))
	f.Add(ukitest.Stub()[:0x200])

	f.Fuzz(func(t *testing.T, stub []byte) {
		image, err := uki.New(stub, parts())
		if err != nil {
			return
		}

		data := whole(t, image)
		if len(data) < len(stub) || !bytes.Contains(data[len(stub):], parts().Kernel) || len(image.Head()) < len(stub) {
			t.Errorf("%d bytes of a stub of %d", len(data), len(stub))
		}

		if _, err := pe.NewFile(bytes.NewReader(stub)); err != nil {
			return
		}

		file, err := pe.NewFile(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("another's reader refuses the image: %v", err)
		}

		if s := file.Section(".cmdline"); s == nil {
			t.Error("no section .cmdline")
		}
	})
}
