package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core/route"
)

// remote is how to reach an appliance's API.
type remote struct {
	server, token, cert string
	data                string
	query               []string
}

// apiCommand calls any route of the one table by its name; without a name it
// lists them.
func (c *cli) apiCommand() *cobra.Command {
	r := &remote{}
	cmd := &cobra.Command{
		Use:   "api [ROUTE [PARAMETER…]]",
		Short: "Call the operator API by the name of a route; without one, list the routes",
		Example: "  vetting api hosts.list\n" +
			"  vetting api hosts.create --data '{\"mac\":\"52:54:00:00:00:01\",\"name\":\"rack3-u17\"}'\n" +
			"  vetting api hosts.spec 52:54:00:00:00:01 --data @spec.yaml\n" +
			"  vetting api hosts.start 52:54:00:00:00:01 --data '{\"profile\":\"quick\"}'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.listRoutes()
			}

			return c.callRoute(cmd, r, args)
		},
	}
	remoteFlags(cmd, r)
	cmd.Flags().StringVar(&r.data, "data", "", "body, or @FILE, or @- for standard input")
	cmd.Flags().StringArrayVar(&r.query, "query", nil, "NAME=VALUE, may be repeated")

	return cmd
}

// remoteFlags declares how an appliance is reached.
func remoteFlags(cmd *cobra.Command, r *remote) {
	cmd.Flags().StringVar(&r.server, "server", os.Getenv("VETTING_SERVER"), "the console's address (VETTING_SERVER); default: the one of this machine, as configured")
	cmd.Flags().StringVar(&r.token, "token", "", "API token; better in VETTING_TOKEN, where other users cannot read it")
	cmd.Flags().StringVar(&r.cert, "cert", os.Getenv("VETTING_CERT"), "the one certificate to trust (VETTING_CERT); default: console.crt of the data directory, where readable")
	settingFlags(cmd, "data-dir")
}

func (c *cli) listRoutes() error {
	table := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	for _, r := range route.Table() {
		if _, err := fmt.Fprintf(table, "%s %s\t%s\n", r.Name, strings.ToUpper(strings.Join(r.Params(), " ")), r.Summary); err != nil {
			return err
		}
	}

	return table.Flush()
}

func (c *cli) callRoute(cmd *cobra.Command, r *remote, args []string) error {
	found, ok := route.Find(args[0])
	if !ok {
		return &usageError{fmt.Errorf("there is no route %q; list them with: vetting api", args[0])}
	}

	ask := client.Request{Route: args[0], Params: args[1:], Query: url.Values{}}

	for _, q := range r.query {
		name, value, _ := strings.Cut(q, "=")
		ask.Query.Add(name, value)
	}

	if r.data != "" {
		text, err := readData(r.data, cmd.InOrStdin())
		if err != nil {
			return err
		}

		c.tellIgnored(&found, text)

		ask.Body = text
	}

	api, err := c.connect(cmd, r)
	if err != nil {
		return err
	}

	return c.print(cmd, api, ask)
}

// print writes the answer: JSON indented, a stream as it comes, anything else as it is.
func (c *cli) print(cmd *cobra.Command, api *client.Client, ask client.Request) error {
	if found, _ := route.Find(ask.Route); found.OK.Type == route.Stream {
		stream, err := api.Stream(cmd.Context(), ask)
		if err != nil {
			return err
		}

		_, err = io.Copy(c.out, stream)

		return errors.Join(err, stream.Close())
	}

	var answer []byte
	if err := api.Call(cmd.Context(), ask, &answer); err != nil {
		return err
	}

	var pretty bytes.Buffer
	if json.Indent(&pretty, answer, "", "  ") == nil && pretty.Len() > 0 {
		pretty.WriteByte('\n')

		answer = pretty.Bytes()
	}

	_, err := c.out.Write(answer)

	return err
}

func (c *cli) connect(cmd *cobra.Command, r *remote) (*client.Client, error) {
	if r.token == "" {
		r.token = os.Getenv("VETTING_TOKEN")
	}

	if r.cert == "" || r.server == "" {
		config, _, err := c.load(cmd)
		if err != nil {
			return nil, err
		}

		r.server = cmp.Or(r.server, config.Console.here())

		if own := filepath.Join(config.DataDir, consoleKey+".crt"); r.cert == "" && readable(own) {
			r.cert = own
		}
	}

	return client.New(r.server, r.token, r.cert)
}

func readable(path string) bool {
	file, err := os.Open(path) //nolint:gosec // only whether it opens
	if err == nil {
		err = file.Close()
	}

	return err == nil
}

// tellIgnored names the fields of a body that the call does not have: the API
// ignores them (so that older and newer programs go together), and whoever mistyped
// one would not hear of it.
func (c *cli) tellIgnored(found *route.Route, text string) {
	var given map[string]json.RawMessage
	if found.Req == nil || json.Unmarshal([]byte(text), &given) != nil {
		return
	}

	known := found.Fields()

	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, name) {
			_, _ = fmt.Fprintf(c.errs, "vetting: %s has no field %q, which is ignored; it takes %s\n", found.Name, name, strings.Join(known, ", "))
		}
	}
}

func readData(data string, stdin io.Reader) (string, error) {
	name, isFile := strings.CutPrefix(data, "@")
	if !isFile {
		return data, nil
	}

	if name == "-" {
		text, err := io.ReadAll(io.LimitReader(stdin, 4<<20))
		if err != nil {
			return "", fmt.Errorf("reading standard input: %w", err)
		}

		return string(text), nil
	}

	text, err := os.ReadFile(name) //nolint:gosec // the person names the file
	if err != nil {
		return "", fmt.Errorf("reading the body: %w", err)
	}

	return string(text), nil
}
