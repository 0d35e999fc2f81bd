package main

import (
	"crypto/rand"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vetting/agent/wire"
	"vetting/core"
	"vetting/initramfs"
	"vetting/initramfs/stick"
	"vetting/netboot"
)

const mebibyte = 1 << 20

// leastData is how large the data partition of an image is that nobody said more of:
// room for the ledger and a few reports.
const leastData = 35 * mebibyte

func (c *cli) usbCommand() *cobra.Command {
	return group("usb", "Make the field kit: a stick that boots a machine and vets it without a network, or serves others from it",
		c.usbImageCommand(), c.usbWriteCommand(), c.usbISOCommand())
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

			image, done, err := kitImage(whole, 0, kernel)
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

// medium is what a boot medium for the virtual drive of a BMC is told of its appliance.
type medium struct {
	url, mac, address string
	kernel            []string
}

func (c *cli) usbISOCommand() *cobra.Command {
	m := medium{}

	cmd := &cobra.Command{
		Use: "iso FILE", Short: "Write an image for the virtual drive of a BMC: it boots straight into the agent of one appliance", Args: exactly("FILE"),
		Long: "Write an image for the virtual drive of a BMC, CD or disk alike: it boots straight into the agent, by UEFI, with Secure Boot, and by BIOS.\n\n" +
			"The machine must be registered and reach the appliance's test network. Without --address it asks for an address by DHCP.\n" +
			"With --address nobody is asked: the appliance must have the address set apart for the machine's MAC (netboot.reservations).",
		RunE: func(_ *cobra.Command, args []string) error {
			words, err := m.arguments()
			if err != nil {
				return &usageError{err}
			}

			boot, err := initramfs.Open()
			if err != nil {
				return err
			}

			if err := boot.Verify(); err != nil {
				return err
			}

			config := stick.Config{Now: time.Now(), Content: bootContent(boot, slices.Concat(netboot.DefaultCmdline(), m.kernel, words))}
			if err := drawIDs(&config); err != nil {
				return err
			}

			image, err := stick.Make(config)
			if err != nil {
				return err
			}

			if err := writeImage(args[0], image); err != nil {
				return err
			}

			_, err = fmt.Fprintf(c.out, "%s: %d MiB; give it to the BMC as a virtual CD or disk\n", args[0], image.Size/mebibyte)

			return err
		},
	}
	cmd.Flags().StringVar(&m.url, "url", "", "the appliance, by its address on the test network, as https://10.77.0.1; empty: the one that gives the address")
	cmd.Flags().StringVar(&m.mac, "mac", "", "the machine's port on the test network, by its MAC; empty: the first that has a link")
	cmd.Flags().StringVar(&m.address, "address", "", "the machine's own address there and the network's length, as 10.77.0.40/24; empty: by DHCP")
	cmd.Flags().StringArrayVar(&m.kernel, "kernel-arg", nil, "an argument for the kernel; may be given again")

	return cmd
}

// arguments are those of the kernel.
func (m medium) arguments() (words []string, err error) {
	if m.address != "" && m.mac == "" {
		return nil, errors.New("--address: name the port that gets it with --mac")
	}

	if m.url != "" {
		words = append(words, "vetting.url="+m.url)
	}

	if m.address != "" {
		words = append(words, "vetting.address="+m.address)
	}

	if _, err := wire.GivenBy(strings.Join(words, " ")); err != nil {
		return nil, err
	}

	if m.mac != "" {
		mac, err := core.ParseMAC(m.mac)
		if err != nil {
			return nil, fmt.Errorf("--mac: %w", err)
		}

		words = append(words, "BOOTIF=01-"+strings.ReplaceAll(string(mac), ":", "-"))
	}

	return words, nil
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

// parsePersist reads how large the data partition is to be; empty is 0: as large as it can be.
func parsePersist(text string) (int64, error) {
	size, err := parseSize(text)

	switch {
	case err != nil && (text == "0" || strings.EqualFold(text, "none")):
		return 0, fmt.Errorf("--persist %s: the kit keeps its ledger and its reports on the data partition, of %dM at least; "+
			"leave --persist out and it fills the stick", text, leastData/mebibyte)
	case err != nil:
		return 0, fmt.Errorf("--persist: %w", err)
	case text != "" && size < leastData:
		return 0, fmt.Errorf("--persist %s is too small: the ledger and a few reports need %dM at least", text, leastData/mebibyte)
	default:
		return size, nil
	}
}

// kitImage lays out the image of a field kit with this very program on it. Its data partition
// has the size persist, or fills the image where that is 0. done must be called when it is
// written.
func kitImage(size, persist int64, kernelArgs []string) (image *stick.Disk, done func(), err error) {
	boot, err := initramfs.Open()
	if err != nil {
		return nil, nil, err
	}

	if err := boot.Verify(); err != nil {
		return nil, nil, err
	}

	config := stick.Config{Room: max(leastData, persist), Size: size, Most: persist, Now: time.Now()}
	if err := drawIDs(&config); err != nil {
		return nil, nil, err
	}

	program, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, nil, fmt.Errorf("opening the own program: %w", err)
	}

	shut := func() { _ = program.Close() }

	if err := standsAlone(program); err != nil {
		shut()

		return nil, nil, err
	}

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

// standsAlone refuses a program that could not be started from a stick: the system there
// is for x86-64 and has no loader of shared libraries. Else that came to light only at
// the rack.
func standsAlone(program io.ReaderAt) error {
	file, err := elf.NewFile(program)
	if err != nil {
		return fmt.Errorf("reading the own program: %w", err)
	}

	if file.Machine != elf.EM_X86_64 {
		return fmt.Errorf("this program is for %s, and the kit's system for x86-64: take the amd64 one to make a stick", strings.TrimPrefix(file.Machine.String(), "EM_"))
	}

	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return errors.New("this program needs shared libraries, which a stick has not; take the static one of a package, or build it with: make build")
		}
	}

	return nil
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
