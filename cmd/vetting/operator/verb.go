package operator

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core/route"
)

// Env is what the commands need of the program they are part of.
type Env struct {
	Out, Errs io.Writer
	// Reach declares the flags that say how an appliance is reached.
	Reach func(*cobra.Command)
	// Connect reads them.
	Connect func(*cobra.Command) (*client.Client, error)
	// Hold, Profile and Baseline are further commands of these groups.
	Hold, Profile, Baseline []*cobra.Command
	// Version is the program's own.
	Version string
}

// verb is a command that makes one call of the API, for each of the things it names.
type verb struct {
	use     string // "show HOST": see words
	aliases []string
	short   string
	hidden  bool // kept for those who know it by this name
	long    string
	example string

	route string            // name in the table of the API
	fixed map[string]any    // fields of the body that are always the same
	query map[string]string // parameters of the query that are always the same
	flags []field           // flags that become fields of the body
	merge string            // field that the host keeps where only parts of it are given
	sheet sheet             // how the answer looks
	done  string            // said where the answer has no body: "deleted"

	bad func(answer any) string // what is wrong though the answer is good; empty, or nil: nothing
}

// word is an argument of a command. Those that fill the parameters of the route come
// first; the others become fields of the body, and FILE is the body.
type word struct {
	name     string // "HOST"
	optional bool   // "[STAGE]"
	several  bool   // "HOST…": the command is carried out for each
}

// words reads the arguments out of a usage line.
func words(use string) []word {
	var list []word

	for _, text := range strings.Fields(use)[1:] {
		name := strings.Trim(text, "[]…")
		list = append(list, word{name: name, optional: strings.HasPrefix(text, "["), several: strings.Contains(text, "…")})
	}

	return list
}

// count checks how many arguments there are.
func count(list []word) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		least, most := 0, len(list)

		for _, w := range list {
			if !w.optional {
				least++
			}

			if w.several {
				most = int(^uint(0) >> 1)
			}
		}

		if len(args) < least || len(args) > most {
			return usage("vetting takes %d arguments here, as in: %s; see: %s --help", least, cmd.UseLine(), cmd.CommandPath())
		}

		return nil
	}
}

// session is one command under way.
type session struct {
	env *Env
	cmd *cobra.Command
	api *client.Client
	out *output
}

// begin reads the flags that all commands share.
func (e *Env) begin(cmd *cobra.Command, out *output) (*session, error) {
	if err := out.check(); err != nil {
		return nil, err
	}

	api, err := e.Connect(cmd)
	if err != nil {
		return nil, err
	}

	return &session{env: e, cmd: cmd, api: api, out: out}, nil
}

// remote makes a command that talks to an appliance.
func (e *Env) remote(cmd *cobra.Command, run func(s *session, args []string) error) *cobra.Command {
	return e.remoteAlso(cmd, nil, run)
}

// remoteAlso does so for a command that has formats of its own.
func (e *Env) remoteAlso(cmd *cobra.Command, also []string, run func(s *session, args []string) error) *cobra.Command {
	list := words(cmd.Use)
	if cmd.Args == nil {
		cmd.Args = count(list)
	}

	out := outputFlags(cmd, also)
	e.Reach(cmd)

	cmd.ValidArgsFunction = e.complete(list)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := e.begin(cmd, out)
		if err == nil {
			err = advise(run(s, args))
		}

		return err
	}

	return cmd
}

// command makes a cobra command of a verb.
func (e *Env) command(v verb) *cobra.Command {
	found, _ := route.Find(v.route)
	cmd := &cobra.Command{Use: v.use, Aliases: v.aliases, Hidden: v.hidden, Short: v.short, Long: v.long, Example: v.example}
	body := newBody(cmd, &v, &found)
	asks := queryFlags(cmd, &v, &found)

	return e.remote(cmd, func(s *session, args []string) error {
		query, err := asks.values(s)
		if err != nil {
			return err
		}

		page := s.out.printer(s.env.Out, v.sheet)

		for _, one := range each(words(v.use), args) {
			if err := s.carryOut(&v, &found, body, one, query, page); err != nil {
				return errors.Join(page.close(), err) // what was done is shown all the same
			}
		}

		return page.close()
	})
}

// each splits the arguments where the command is to be carried out for several
// things.
func each(list []word, args []string) [][]string {
	if len(list) == 0 || !list[0].several {
		return [][]string{args}
	}

	all := make([][]string, 0, len(args))
	for _, arg := range args {
		all = append(all, []string{arg})
	}

	return all
}

// carryOut makes the call for one thing and shows the answer.
func (s *session) carryOut(v *verb, found *route.Route, b *body, args []string, query url.Values, page *printer) error {
	ctx := s.cmd.Context()
	params := len(found.Params())
	ask := client.Request{Route: v.route, Query: query}

	for i, w := range words(v.use)[:params] {
		param, err := s.resolve(ctx, w.name, args[i])
		if err != nil {
			return err
		}

		ask.Params = append(ask.Params, param)
	}

	content, err := b.content(s, ask.Params, words(v.use)[params:], args[params:])
	if err != nil {
		return err
	}

	ask.Body = content

	answer, err := s.call(ctx, found, ask, s.limit())
	if err != nil {
		return err
	}

	if found.OK.Type == "" {
		return page.say(strings.Join(args, " ") + " " + v.done)
	}

	if err := page.show(answer); err != nil || v.bad == nil {
		return err
	}

	return v.judge(answer)
}

// judge looks whether a good answer tells of something bad.
func (v *verb) judge(answer []byte) error {
	rows, err := rowsOf(answer, "")
	if err != nil {
		return err
	}

	if wrong := v.bad(rows[0]); wrong != "" {
		return &Exit{Code: Failed, Err: errors.New(wrong)}
	}

	return nil
}

// limit is how many rows of a list are wanted; 0: all.
func (s *session) limit() int {
	n, err := s.cmd.Flags().GetInt("limit")
	if err != nil {
		return 0 // this command lists nothing
	}

	return n
}

// call makes a call; of a list it gathers the pages up to limit (0: all) into one.
func (s *session) call(ctx context.Context, found *route.Route, ask client.Request, limit int) ([]byte, error) {
	paged := slices.ContainsFunc(found.Query, func(p route.Param) bool { return p.Name == "page_token" })
	if !paged {
		var answer []byte
		err := s.api.Call(ctx, ask, &answer)

		return answer, err
	}

	return s.gather(ctx, ask, limit)
}

// mostOnPage is as many rows as the API gives at once.
const mostOnPage = 500

func (s *session) gather(ctx context.Context, ask client.Request, limit int) ([]byte, error) {
	var (
		all  book
		page = url.Values{}
	)

	maps.Copy(page, ask.Query)

	ask.Query = page

	for {
		page.Set("limit", strconv.Itoa(mostOnPage))

		if left := limit - all.rows; limit > 0 {
			page.Set("limit", strconv.Itoa(min(mostOnPage, left)))
		}

		var answer []byte
		if err := s.api.Call(ctx, ask, &answer); err != nil {
			return nil, err
		}

		next, err := all.add(answer)
		if err != nil {
			return nil, err
		}

		if next == "" || limit > 0 && all.rows >= limit {
			return all.text(limit)
		}

		page.Set("page_token", next)
	}
}
