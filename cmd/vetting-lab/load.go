//go:build linux

package main

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"vetting/cmd/vetting-lab/load"
)

// loadCommand groups the load generators, which the benchmarks start as
// processes of their own, on a processor of their own.
func loadCommand() *cobra.Command {
	group := &cobra.Command{Use: "load", Short: "Make load and print what came of it as JSON", Args: cobra.NoArgs}
	group.AddCommand(doraCommand(), fetchCommand(), tftpCommand(), fleetCommand(), bareCommand(), imageCommand(), stormCommand())

	return group
}

func doraCommand() *cobra.Command {
	var d load.DORA

	command := &cobra.Command{
		Use: "dhcp", Short: "Lease addresses in a closed loop", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := d.Run(cmd.Context())
			if err != nil {
				return err
			}

			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		},
	}

	flags := command.Flags()
	flags.StringVar(&d.Interface, "interface", "", "network interface of the clients")
	flags.IntVar(&d.Hosts, "hosts", 1000, "different MAC addresses, from "+load.MAC(0))
	flags.IntVar(&d.Outstanding, "outstanding", 64, "clients at a time")
	flags.DurationVar(&d.Duration, "duration", 3*time.Second, "how long to measure")
	flags.DurationVar(&d.Retry, "retry", time.Second, "silence after which a client asks again")
	flags.BoolVar(&d.Once, "once", false, "end when each has its lease")

	return command
}

func fetchCommand() *cobra.Command {
	var f load.Fetch

	command := &cobra.Command{
		Use: "http PATH…", Short: "Fetch files and drop them", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Paths = args

			result, err := f.Run(cmd.Context())
			if err != nil {
				return err
			}

			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		},
	}

	flags := command.Flags()
	flags.StringVar(&f.Address, "address", "10.77.0.1:80", "server")
	flags.StringSliceVar(&f.From, "from", nil, "addresses that the clients speak from, in turn")
	flags.IntVar(&f.Clients, "clients", 32, "connections at a time")
	flags.IntVar(&f.Times, "times", 3, "times that each client fetches all files")

	return command
}

func tftpCommand() *cobra.Command {
	var f load.TFTP

	command := &cobra.Command{
		Use: "tftp FILE", Short: "Fetch a file by TFTP and drop it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.File = args[0]

			result, err := f.Run(cmd.Context())
			if err != nil {
				return err
			}

			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		},
	}

	flags := command.Flags()
	flags.StringVar(&f.Server, "server", "10.77.0.1", "server")
	flags.StringSliceVar(&f.From, "from", nil, "addresses that the clients speak from, in turn")
	flags.IntVar(&f.Block, "blksize", 0, "block size asked for; 0: none")
	flags.IntVar(&f.Window, "windowsize", 0, "window asked for; 0: none")
	flags.Float64Var(&f.Loss, "loss", 0, "share of the DATA packets that are lost")
	flags.IntVar(&f.Clients, "clients", 1, "transfers at a time")
	flags.IntVar(&f.Times, "times", 3, "times that each client fetches it")

	return command
}

func fleetCommand() *cobra.Command {
	var (
		f      load.Fleet
		server string
	)

	command := &cobra.Command{
		Use: "fleet", Short: "Boot simulated hosts and send samples and heartbeats", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if f.Server, err = netip.ParseAddr(server); err != nil {
				return err
			}

			result, err := f.Run(cmd.Context())
			if err != nil {
				return err
			}

			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		},
	}

	flags := command.Flags()
	flags.StringVar(&f.Interface, "interface", "", "network interface of the hosts")
	flags.StringVar(&server, "server", "10.77.0.1", "address of the appliance")
	flags.IntVar(&f.Bits, "bits", 20, "length of its network")
	flags.IntVar(&f.Hosts, "hosts", 1000, "simulated hosts, from "+load.MAC(0))
	flags.IntVar(&f.Samples, "samples", 20, "samples in a batch; a batch a second")
	flags.DurationVar(&f.Beat, "beat", 15*time.Second, "between heartbeats")
	flags.DurationVar(&f.Warm, "warm", 10*time.Second, "load before the measurement")
	flags.DurationVar(&f.Duration, "duration", 30*time.Second, "how long to measure")
	flags.IntVar(&f.PID, "pid", 0, "process of the appliance")
	flags.StringVar(&f.Bare, "bare", "", "SPKI pin of a bare server that stands at --server in place of an appliance")

	return command
}

func bareCommand() *cobra.Command {
	var b load.Bare

	command := &cobra.Command{
		Use: "bare", Short: "Answer a fleet with the least that can, for comparison", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return b.Serve(cmd.Context()) },
	}

	flags := command.Flags()
	flags.StringVar(&b.Address, "address", "10.77.0.1:443", "where to listen")
	flags.StringVar(&b.Key, "key", "", "file that gets the SPKI pin")

	return command
}

func imageCommand() *cobra.Command {
	var i load.Image

	command := &cobra.Command{
		Use: "image", Short: "Serve files as the appliance serves its image, to anybody", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return i.Serve(cmd.Context()) },
	}

	flags := command.Flags()
	flags.StringVar(&i.Address, "address", "127.0.0.1:8080", "where to listen")
	flags.StringVar(&i.Dir, "dir", "", "directory with the files")

	return command
}

func stormCommand() *cobra.Command {
	var (
		s      load.Storm
		server string
	)

	command := &cobra.Command{
		Use: "storm", Short: "Boot simulated hosts as far as their seed, all at once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if s.Server, err = netip.ParseAddr(server); err != nil {
				return err
			}

			result, err := s.Run(cmd.Context())
			if err != nil {
				return err
			}

			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		},
	}

	flags := command.Flags()
	flags.StringVar(&s.Interface, "interface", "", "network interface of the hosts")
	flags.StringVar(&server, "server", "10.77.0.1", "address of the appliance")
	flags.IntVar(&s.Bits, "bits", 20, "length of its network")
	flags.IntVar(&s.Hosts, "hosts", 256, "simulated hosts, from "+load.MAC(0))
	flags.StringVar(&s.Loader, "loader", "undionly.kpxe", "boot program that each loads by TFTP")

	return command
}
