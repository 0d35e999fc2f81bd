//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Dnsmasq starts a dnsmasq at the station with the given options and none of
// its own but those that keep it in the foreground, silent about DNS, and away
// from the machine's files. It has ended when Stop returns.
func (s *Station) Dnsmasq(ctx context.Context, cpus []int, options ...string) (*Process, error) {
	args := append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0", "--log-facility=-",
		"--interface=" + NIC, "--bind-interfaces", "--dhcp-authoritative",
	}, options...)

	process, err := s.Start(ctx, Command{Program: "dnsmasq", Args: args, CPUs: cpus})
	if err != nil {
		return nil, errors.Join(err, errors.New("apt-get install dnsmasq-base"))
	}

	if _, err := process.Output.Await(ctx, "started, version"); err != nil {
		return nil, fmt.Errorf("starting dnsmasq: %w", err)
	}

	return process, nil
}

// Nginx starts an nginx at the station that serves root on listen with sendfile,
// as one tunes it for large files.
func (s *Station) Nginx(ctx context.Context, dir, root, listen string, cpus []int) (*Process, error) {
	config := fmt.Sprintf(`daemon off;
user root;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log stderr notice;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server { listen %[2]s; root %[3]s; }
}
`, dir, listen, root)

	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("writing nginx's configuration: %w", err)
	}

	process, err := s.Start(ctx, Command{Program: "nginx", Args: []string{"-p", dir, "-c", path, "-e", "stderr"}, CPUs: cpus})
	if err != nil {
		return nil, errors.Join(err, errors.New("apt-get install nginx-light"))
	}

	if _, err := process.Output.Await(ctx, "start worker process "); err != nil {
		return nil, fmt.Errorf("starting nginx: %w", err)
	}

	return process, nil
}
