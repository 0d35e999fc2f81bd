package tftp_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vetting/netboot/tftp"
)

// Each of these holds what netboot/quirk says under its ID.

// The bytes of a ThinkPad T460's request, as netboot.xyz #1198 tells of it.
func TestQuirkQ1AnOldROMsNameIsReadWithoutWhatFollowsIt(t *testing.T) {
	r, err := tftp.ParseRequest([]byte("\x00\x01undionly.kpxe\xff\x00octet\x00blksize\x001456\x00"))
	if err != nil || r.Name != "undionly.kpxe" {
		t.Errorf("read as %q (%v)", r.Name, err)
	}
}

// What OVMF asks first was recorded; then it sends ERROR 8 and comes again.
func TestQuirkQ7AQuestionForTheSizeIsAnsweredExactlyAndNoFailure(t *testing.T) {
	w := serve(t, map[string][]byte{"snponly.efi": bulk(5000)})
	c := w.client(known)

	c.ask("snponly.efi", "octet", "tsize", "0", "blksize", "1468", "windowsize", "4")

	if got := string(c.hear()); got != "\x00\x06tsize\x005000\x00blksize\x001468\x00windowsize\x004\x00" {
		t.Errorf("answered %q", got)
	}

	c.send(c.peer, "\x00\x05\x00\x08User aborted the transfer\x00")

	if step := <-w.steps; step.Kind != "tftp-probe" {
		t.Errorf("noted as %q: %s", step.Kind, step.Detail)
	}

	// One that asks for the block size only is told nothing else.
	only := w.client(known)
	only.ask("snponly.efi", "octet", "blksize", "1024")

	if got := string(only.hear()); got != "\x00\x06blksize\x001024\x00" {
		t.Errorf("answered %q", got)
	}
}

func TestQuirkQ8SmallerBlocksAreTriedWhereLargeOnesDoNotArrive(t *testing.T) {
	w := serve(t, map[string][]byte{"f": bulk(10_000)})

	for _, want := range []string{"1468", "1408", "1024", "512"} {
		c := w.client(known)
		c.ask("f", "octet", "blksize", "1468")

		if got := string(c.hear()); got != "\x00\x06blksize\x00"+want+"\x00" {
			t.Fatalf("answered %q, want %s", got, want)
		}

		c.ack(0)

		if want == "512" {
			break
		}

		// The first block is lost on its way, every time. This is told after a second.
		deadline := time.Now().Add(20 * time.Second)
		for !strings.Contains(w.logged(), "bytes="+want+" ") && time.Now().Before(deadline) {
			c.hear()
		}

		c.send(c.peer, "\x00\x05\x00\x00timeout\x00")
	}

	// What got through is not taken for too large any more.
	c := w.client(known)
	if got, oack, _ := c.get(512, 1, "f", "octet", "blksize", "1468"); len(got) != 10_000 || oack != "blksize\x00512\x00" {
		t.Errorf("got %d bytes with %q", len(got), oack)
	}
}

func TestQuirkQ9RepeatedAcknowledgementsDoNotMultiply(t *testing.T) {
	const window, blocks = 4, 400

	w := serve(t, map[string][]byte{"f": bulk(blocks*512 - 1)})
	c := w.client(known)
	c.ask("f", "octet", "windowsize", "4")
	c.hear()
	c.ack(0)

	packets, next := 0, 1

	for next <= blocks {
		p := c.hear()
		packets++

		if int(p[2])<<8|int(p[3]) == next {
			next++
		}

		// EDK2 acknowledges what it has seen before once more.
		if (next-1)%window == 0 || next > blocks {
			c.ack(next - 1)
			c.ack(next - 1)
		}
	}

	// 112,498 packets instead of 3,194 were 35 times as many.
	if packets > 3*blocks {
		t.Errorf("%d packets for %d blocks", packets, blocks)
	}
}

func TestQuirkQ10WhoNamesNoBlockSizeIsRefusedAFileOf32MiB(t *testing.T) {
	w := serve(t, map[string][]byte{"large": make([]byte, 512*65_535), "fits": make([]byte, 512*65_535-1)})
	c := w.client(known)

	c.ask("large", "octet")

	if got := string(c.hear()); !strings.HasPrefix(got, "\x00\x05\x00\x04too large") {
		t.Errorf("answered %q", got)
	}

	c.ask("fits", "octet")

	if got := c.hear(); got[1] != 3 {
		t.Errorf("answered %q", got[:4])
	}

	other := w.client(known)
	other.ask("large", "octet", "BLKSIZE", "1024")

	if got := other.hear(); got[1] != 6 {
		t.Errorf("answered %q", got)
	}
}

func TestQuirkQ11NamesAndOptionsAreReadAsFirmwareWritesThem(t *testing.T) {
	for _, name := range []string{`\boot\snponly.efi`, `/boot//snponly.efi`, `C:\boot\snponly.efi`, `boot/./snponly.efi`, "boot/snponly.efi \r\n"} {
		r, err := tftp.ParseRequest([]byte("\x00\x01" + name + "\x00OCTET\x00"))
		if err != nil || r.Name != "boot/snponly.efi" {
			t.Errorf("%q is read as %q (%v)", name, r.Name, err)
		}
	}

	w := serve(t, map[string][]byte{"f": bulk(1000)})
	c := w.client(known)
	c.ask("f", "Octet", "BlkSize", "1024", "TSIZE", "0")

	if got := string(c.hear()); got != "\x00\x06BlkSize\x001024\x00TSIZE\x001000\x00" {
		t.Errorf("answered %q", got)
	}
}

// What shim 15.8 and GRUB 2.12 of Debian 13 look for, as seen on the wire.
func TestQuirkQ12WhatShimAndGRUBLookForIsNotThereAtOnce(t *testing.T) {
	absent(t, "revocations_sku.efi", "revocations_sbat.efi", "shim_certificate_0.efi", "/grub/x86_64-efi/command.lst", "/grub/x86_64-efi/fs.lst",
		"/grub/x86_64-efi/crypto.lst", "/grub/x86_64-efi/terminal.lst")
}

func TestQuirkQ24ARaspberryPisFilesAreNotThereAtOnce(t *testing.T) {
	absent(t, "b1c2d3e4/start4.elf", "b1c2d3e4/config.txt", "start4.elf", "config.txt", "bootcode.bin")
}

// absent asks for files that nobody has.
func absent(t *testing.T, names ...string) {
	t.Helper()

	w := serve(t, map[string][]byte{"f": bulk(100)})
	c := w.client(known)

	for _, name := range names {
		c.ask(name, "octet", "blksize", "512", "windowsize", "4")

		if got := c.hear(); !bytes.HasPrefix(got, []byte("\x00\x05\x00\x01")) {
			t.Errorf("%s is answered %q", name, got)
		}

		if step := <-w.steps; step.Kind != "tftp-missing" {
			t.Errorf("%s is noted as %+v", name, step)
		}
	}

	if log := w.logged(); log != "" {
		t.Errorf("the log is not quiet:\n%s", log)
	}
}
