package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vetting/agent/blockdev"
	"vetting/core/diskguard"
	"vetting/initramfs/stick"
	uitext "vetting/ui/text"
)

// writing is what a person has said of a stick that is to be written.
type writing struct {
	device string
	serial string // said beforehand; empty: it is asked for
	fixed  string // serial number of a disk that is no stick and is meant all the same
	kernel []string
	// persist is how large the data partition is to be, in bytes; 0: it fills the stick.
	persist int64
	// locate finds the node that device leads to, and the number of the block device there.
	locate func(device string) (node, number string, err error)
}

func (c *cli) usbWriteCommand() *cobra.Command {
	var persist string

	w := writing{locate: nodeOf}

	cmd := &cobra.Command{
		Use: "write --device /dev/sdX", Short: "Write the field kit to a stick, whole, and read it back; what was on the stick is lost",
		Long: "Write the field kit to a stick, whole, and read it back. What was on the stick is lost.\n\n" +
			"Only what is attached by USB is written, and only when its serial number is said: typed when it is asked for, or with --yes-serial.\n" +
			"What is claimed is never written: what is mounted, swapped to, or a part of md, LVM or another device mapping, and what another program\n" +
			"has open exclusively. A program that only has it open, as dd does, is not noticed. The data partition, with the ledger\n" +
			"and the reports, fills the stick, or is as large as --persist says; the rest of the stick is left free.",
		Example: "  vetting usb write --device /dev/sdX\n  vetting usb write --device /dev/sdX --persist 8G",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if w.device == "" {
				return &usageError{errors.New("name the stick, as in --device /dev/sdX; lsblk -o NAME,MODEL,SERIAL,SIZE,TRAN lists them")}
			}

			size, err := parsePersist(persist)
			if err != nil {
				return &usageError{err}
			}

			w.persist = size

			return c.writeStick(cmd.Context(), blockdev.Here(), kitImage, w, cmd.InOrStdin())
		},
	}
	cmd.Flags().StringVar(&w.device, "device", "", "the stick")
	cmd.Flags().StringVar(&w.serial, "yes-serial", "", "the stick's serial number (its model where it tells none): nothing is asked")
	cmd.Flags().StringVar(&w.fixed, "not-usb", "", "the serial number of a disk that is not attached by USB and is meant all the same")
	cmd.Flags().StringVar(&persist, "persist", "", "size of the data partition, as in 8G, of 35M at least; empty: it fills the stick")
	cmd.Flags().StringArrayVar(&w.kernel, "kernel-arg", nil, "an argument for the kernel; may be given again")

	return cmd
}

// maker lays out an image of a size; see kitImage.
type maker func(size, persist int64, kernelArgs []string) (image *stick.Disk, done func(), err error)

// writeStick asks, writes and reads back.
func (c *cli) writeStick(ctx context.Context, layer blockdev.Layer, lay maker, w writing, in io.Reader) error {
	node, number, err := w.locate(w.device)
	if err != nil {
		return err
	}

	disk, others, err := lookUp(layer, w.device, node, number)
	if err != nil {
		return err
	}

	room := int64(disk.SizeBytes)   //nolint:gosec // a disk
	persist := min(w.persist, room) // more fits on none, and need not be laid out to be refused

	image, done, err := lay(room, persist, w.kernel)
	if err != nil {
		return err
	}
	defer done()

	if err := w.fits(room, persist, image.Size); err != nil {
		return err
	}

	wish := blockdev.Wish{Name: disk.Name, Shown: disk.Shown(), Said: nameOf(&disk), Fixed: w.fixed != "" && w.fixed == disk.Serial, Needs: image.Size}

	// What nobody's word can mend is said before anybody is asked.
	facts := diskguard.Replacement{Disk: disk, Others: others, Said: wish.Said, Fixed: wish.Fixed, Shown: wish.Shown, Needs: uint64(image.Size)} //nolint:gosec // positive
	if d := diskguard.MayReplace(&facts); !d.Allowed() {
		return &blockdev.Refused{Disk: disk, Decision: d}
	}

	if wish.Said, err = c.meant(&disk, ledTo(w.device, node), w, in); err != nil {
		return err
	}

	medium, err := blockdev.Replace(layer, wish)
	if err != nil {
		return err
	}

	if err := errors.Join(c.fill(ctx, medium, image), medium.Close()); err != nil {
		return err
	}

	_, err = fmt.Fprintf(c.out, "%s is a field kit now; it was read back and is good\n", w.device)

	return err
}

// fits refuses a data partition that is too large for a stick with so much room, where a smaller
// one fits. The image with one of the size persist needs so much.
func (w *writing) fits(room, persist, needs int64) error {
	boots := needs - persist
	most := (room - boots) / mebibyte

	if persist == 0 || needs <= room || most < leastData/mebibyte {
		return nil // a stick that has no room for any kit is refused as such
	}

	return &usageError{fmt.Errorf("--persist %dM is too large for %s: of its %d MiB the part that boots takes %d, so that --persist %dM fits at most; "+
		"without --persist the data partition fills the stick", w.persist/mebibyte, w.device, room/mebibyte, boots/mebibyte, most)}
}

// nameOf is what a disk is told from others by.
func nameOf(disk *diskguard.Disk) string {
	if disk.Serial != "" {
		return disk.Serial
	}

	return disk.Model
}

// meant returns the serial number that a person says is that of the stick.
func (c *cli) meant(disk *diskguard.Disk, where string, w writing, in io.Reader) (string, error) {
	switch {
	case w.fixed != "":
		return w.fixed, nil
	case w.serial != "":
		return w.serial, nil
	}

	word := "serial number"
	if disk.Serial == "" {
		word = "model"
	}

	fmt.Fprintf(c.out, "%s: %s, serial number %s, %.1f GB, %s\nAll that is on it will be lost. Type its %s to go on: ",
		where, uitext.Line(disk.Model), orDash(uitext.Line(disk.Serial)), float64(disk.SizeBytes)/1e9, disk.Transport, word)

	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && line == "" {
		return "", errors.New("nobody answered; nothing was written")
	}

	return strings.TrimSpace(line), nil
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}

	return text
}

// fill writes the image and reads it back.
func (c *cli) fill(ctx context.Context, medium *blockdev.Medium, image *stick.Disk) error {
	if err := image.WriteAt(medium, c.tellProgress(ctx, "writing")); err != nil {
		return err
	}

	if err := medium.Flush(); err != nil {
		return fmt.Errorf("writing the image out: %w", err)
	}

	return image.Compare(medium, c.tellProgress(ctx, "reading back"))
}

// tellProgress says every few seconds how much is done, and once that all is.
func (c *cli) tellProgress(ctx context.Context, what string) func(done, all int64) error {
	const every = 2 * time.Second

	begin := time.Now()
	next := begin.Add(every)

	return func(done, all int64) error {
		now := time.Now()

		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case done == all:
			seconds := now.Sub(begin).Seconds()
			_, err := fmt.Fprintf(c.errs, "%s: %d MB in %.1f s, %.1f MB/s\n", what, all/1e6, seconds, float64(all)/1e6/max(seconds, 1e-3))

			return err
		case now.After(next):
			next = now.Add(every)
			_, err := fmt.Fprintf(c.errs, "%s: %d %% of %d MB\n", what, 100*done/all, all/1e6)

			return err
		default:
			return nil
		}
	}
}
