package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vetting/initramfs"
	"vetting/initramfs/stick"
	"vetting/netboot"
)

const mebibyte = 1 << 20

// leastData is how large the data partition of an image is that nobody said more of:
// room for the ledger and a few reports.
const leastData = 40 * mebibyte

func (c *cli) usbCommand() *cobra.Command {
	cmd := group("usb", "Make the field kit: a stick that boots a machine and vets it without a network", c.usbImageCommand())
	cmd.Hidden = true // not offered yet; see docs/usb.md

	return cmd
}

func (c *cli) usbImageCommand() *cobra.Command {
	var (
		size   string
		kernel []string
	)

	cmd := &cobra.Command{
		Use: "image FILE", Short: "Write the image of a stick into a file; needs no root and no tools", Args: exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			whole, err := parseSize(size)
			if err != nil {
				return &usageError{err}
			}

			image, done, err := kitImage(whole, kernel)
			if err != nil {
				return err
			}
			defer done()

			if err := writeImage(args[0], image); err != nil {
				return err
			}

			_, err = fmt.Fprintf(c.out, "%s: %d MiB; write it to a stick whole, as with dd\n", args[0], image.Size/mebibyte)

			return err
		},
	}
	cmd.Flags().StringVar(&size, "size", "", "size of the image, as in 8G: the data partition fills it; empty: as small as it can be")
	cmd.Flags().StringArrayVar(&kernel, "kernel-arg", nil, "an argument for the kernel; may be given again")

	return cmd
}

// parseSize reads a size as in 512M or 8G; empty is 0.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}

	unit, known := map[byte]int64{'M': mebibyte, 'G': 1024 * mebibyte, 'T': 1 << 40}[strings.ToUpper(text)[len(text)-1]]

	n, err := strconv.ParseInt(text[:len(text)-1], 10, 32)
	if err != nil || !known || n <= 0 || n > (16<<40)/unit {
		return 0, fmt.Errorf("%q is no size; say it as in 512M or 8G", text)
	}

	return n * unit, nil
}

// kitImage lays out the image of a field kit with this very program on it. done must be
// called when it is written.
func kitImage(size int64, kernelArgs []string) (image *stick.Disk, done func(), err error) {
	boot, err := initramfs.Open()
	if err != nil {
		return nil, nil, err
	}

	if err := boot.Verify(); err != nil {
		return nil, nil, err
	}

	config := stick.Config{Room: leastData, Size: size, Now: time.Now()}
	if err := drawIDs(&config); err != nil {
		return nil, nil, err
	}

	program, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, nil, fmt.Errorf("opening the own program: %w", err)
	}

	shut := func() { _ = program.Close() }

	info, err := program.Stat()
	if err != nil {
		shut()

		return nil, nil, fmt.Errorf("opening the own program: %w", err)
	}

	config.Content = bootContent(boot, append(netboot.DefaultCmdline(), append(kernelArgs, "vetting.kit="+config.Data.String())...))
	config.Files = []stick.File{stick.At(stick.Appliance, program, info.Size())}

	if image, err = stick.Make(config); err != nil {
		shut()

		return nil, nil, err
	}

	return image, shut, nil
}

// bootContent is what every image boots.
func bootContent(boot *initramfs.Image, arguments []string) stick.Content {
	segments := [][]byte{boot.Base, boot.Modules}
	if boot.Agent != nil {
		segments = append(segments, boot.Agent)
	}

	return stick.Content{
		Loaders: stick.Loaders{
			Shim: boot.Loaders[initramfs.Shim], Menu: boot.Pieces[initramfs.SignedMenu],
			Sector: boot.Pieces[initramfs.Sector], ISOLINUX: boot.Pieces[initramfs.ISOLINUX], Module: boot.Pieces[initramfs.Module],
		},
		Kernel: boot.Kernel, Segments: segments, Arguments: strings.Join(arguments, " "),
	}
}

// drawIDs gives the disk and its partitions ids of their own (RFC 9562 §5.4).
func drawIDs(config *stick.Config) error {
	for _, id := range []*stick.GUID{&config.Disk, &config.Boot, &config.Data} {
		if _, err := io.ReadFull(rand.Reader, id[:]); err != nil {
			return fmt.Errorf("drawing an id: %w", err)
		}

		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	}

	return nil
}

// writeImage writes an image into a file, which it makes. What is blank takes no room
// where the file system has holes. A file that is there already is not touched: it may
// be a disk.
func writeImage(name string, image *stick.Disk) error {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // there is no secret in it
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already; name a file that is not", name)
	}

	if err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}

	if err := errors.Join(file.Truncate(image.Size), image.WriteAt(file, nil), file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}

	return nil
}
