package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"vetting/agent/hostmode"
	"vetting/agent/initd"
	"vetting/agent/probe"
	"vetting/core"
)

// hostWord asks for the agent of an installed system.
const hostWord = "host"

// host is the agent of an installed system, as a service.
func host(ctx context.Context, args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	flags := flag.NewFlagSet(hostWord, flag.ContinueOnError)
	flags.SetOutput(errs)

	file := flags.String("config", hostmode.ConfigFile, "the configuration `file` that the installer wrote")
	state := flags.String("state", hostmode.StateDir, "the `folder` that holds this host's key")
	fingerprint := flags.Bool("fingerprint", false, "print the fingerprint of this host's key, which is made if there is none, and end")

	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}

	if err := runHost(ctx, *file, *state, *fingerprint, out, errs); err != nil {
		fmt.Fprintln(errs, "vetting-agent:", err)

		return 1
	}

	return 0
}

func runHost(ctx context.Context, file, state string, fingerprint bool, out, errs io.Writer) error {
	config, err := hostmode.ReadConfig(file)
	if err != nil {
		return err
	}

	key, err := hostmode.LoadKey(state, rand.Reader)
	if err != nil {
		return err
	}

	if fingerprint {
		public, _ := key.Public().(ed25519.PublicKey)
		_, err := fmt.Fprintln(out, core.KeyFingerprint(public))

		return err
	}

	return installed(config, key, slog.New(slog.NewTextHandler(errs, nil))).Run(ctx)
}

// installed is the running system, as the service finds it.
func installed(config hostmode.Config, key ed25519.PrivateKey, log *slog.Logger) hostmode.Service {
	root := os.DirFS("/")
	ports := func() map[string]core.MAC { return hostmode.Ports(root, burntIn) }

	name, err := os.Hostname()
	if err != nil {
		name = "unnamed"
	}

	bootID, err := line(root, "proc/sys/kernel/random/boot_id")
	if err != nil {
		bootID = "unknown"
	}

	return hostmode.Service{
		Config: config, Key: key, Version: version(), BootID: bootID, Hostname: name, Uptime: initd.Uptime, Log: log,
		Busy: func() string { return hostmode.Busy(root) }, Reboot: hostmode.System(ports, log).Reboot,
		Addresses: func(ctx context.Context) (core.MAC, []core.MAC, error) {
			face, err := hostmode.PortTo(ctx, config)
			if err != nil {
				return "", nil, err
			}

			return hostmode.Primary(root, face, ports())
		},
	}
}

// burntIn asks a port's driver for the address that the port was made with.
func burntIn(name string) core.MAC {
	port, err := probe.System{}.Port(name)
	if err != nil {
		return ""
	}

	return port.PermMAC
}
