package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

// ClientConfig says how a Client reaches fleetd. Its zero value is good.
type ClientConfig struct {
	CAFile            string        // with certificates to trust instead of the system's
	CertFile, KeyFile string        // to show to the server
	Timeout           time.Duration // of one call, but for event streams; 0 is 3 s
	Trace             io.Writer     // where each call is noted, nil nowhere
}

// Client calls the API of one fleetd.
type Client struct {
	endpoint string // as the user gave it
	base     string
	timeout  time.Duration
	trace    io.Writer
	http     *http.Client
}

// UnreachableError: nobody answers at the endpoint.
type UnreachableError struct {
	Endpoint string
	Silent   bool // there is somebody, who took the call and has not answered
	Err      error
}

func (e *UnreachableError) Error() string {
	if e.Silent {
		return fmt.Sprintf("fleetd at %s takes calls but does not answer: %v", e.Endpoint, e.Err)
	}
	return fmt.Sprintf("can't reach fleetd at %s: %v", e.Endpoint, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// NewClient returns a client for the fleetd at endpoint: unix:///PATH,
// http://HOST:PORT or https://HOST:PORT.
func NewClient(endpoint string, cfg ClientConfig) (*Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", endpoint, err)
	}
	c := &Client{endpoint: endpoint, timeout: cfg.Timeout, trace: cfg.Trace}
	if c.timeout <= 0 {
		c.timeout = 3 * time.Second
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	switch {
	case (u.Scheme == "unix" || u.Scheme == "file") && u.Host == "" && u.Path != "":
		c.base = "http://fleet" + Base
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", u.Path)
		}
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		c.base = strings.TrimSuffix(endpoint, "/") + Base
		if transport.TLSClientConfig, err = cfg.tls(); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("endpoint %q is none of unix:///PATH, http://HOST:PORT, https://HOST:PORT", endpoint)
	}
	c.http = &http.Client{Transport: transport}
	return c, nil
}

func (cfg ClientConfig) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the CA file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA file %s has no certificate in it", cfg.CAFile)
		}
	}
	if cfg.CertFile != "" || cfg.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// Close lets go of the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Endpoint is what the client was made for.
func (c *Client) Endpoint() string { return c.endpoint }

// Units returns every unit, with its options.
func (c *Client) Units(ctx context.Context) ([]unit.Unit, error) {
	return pages(ctx, c, "units", nil, func(p *UnitPage) ([]unit.Unit, string) { return p.Units, p.NextPageToken })
}

// Unit returns one unit, with its text. Errors: an *Error with code 404.
func (c *Client) Unit(ctx context.Context, name string) (unit.Unit, error) {
	var u unit.Unit
	return u, c.call(ctx, http.MethodGet, unitPath(name), nil, nil, &u)
}

// PutUnit gives the unit the file and the target state. expect is nil for any,
// a pointer to "" where the unit must not exist, or to the hash of the file it
// must have; if it isn't so the error is an *Error with code 412.
func (c *Client) PutUnit(ctx context.Context, name, text string, target unit.TargetState, expect *string) error {
	h := http.Header{}
	switch {
	case expect == nil:
	case *expect == "":
		h.Set("If-None-Match", "*")
	default:
		h.Set("If-Match", `"`+*expect+`"`)
	}
	return c.call(ctx, http.MethodPut, unitPath(name), h, unit.Unit{Name: name, Text: text, DesiredState: target}, nil)
}

// SetTarget changes the unit's target state.
func (c *Client) SetTarget(ctx context.Context, name string, target unit.TargetState) error {
	return c.call(ctx, http.MethodPut, unitPath(name), nil, unit.Unit{Name: name, DesiredState: target}, nil)
}

// DestroyUnit makes the cluster forget the unit.
func (c *Client) DestroyUnit(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, unitPath(name), nil, nil, nil)
}

// States returns what the machines report of their units.
func (c *Client) States(ctx context.Context) ([]unit.State, error) {
	return pages(ctx, c, "state", nil, func(p *StatePage) ([]unit.State, string) { return p.States, p.NextPageToken })
}

// Machines returns the machines that are there, or with lost all there ever
// were.
func (c *Client) Machines(ctx context.Context, lost bool) ([]Machine, error) {
	query := url.Values{}
	if lost {
		query.Set("all", "true")
	}
	return pages(ctx, c, "machines", query, func(p *MachinePage) ([]Machine, string) { return p.Machines, p.NextPageToken })
}

// Machine returns one machine, there or lost, with what is placed on it.
// Errors: an *Error with code 404.
func (c *Client) Machine(ctx context.Context, id string) (MachineDetail, error) {
	var m MachineDetail
	return m, c.call(ctx, http.MethodGet, machinePath(id), nil, nil, &m)
}

// ForgetMachine makes the cluster forget a machine that is gone for good.
// Errors: an *Error with code 404, or 409 while the machine is there.
func (c *Client) ForgetMachine(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, machinePath(id), nil, nil, nil)
}

// SetMaintenance cordons and drains a machine, or ends that.
func (c *Client) SetMaintenance(ctx context.Context, id string, cordoned, draining bool) error {
	escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(id)
	return c.PatchMachines(ctx, []Patch{
		{Op: "replace", Path: "/" + escaped + "/cordoned", Value: json.RawMessage(strconv.FormatBool(cordoned))},
		{Op: "replace", Path: "/" + escaped + "/draining", Value: json.RawMessage(strconv.FormatBool(draining))},
	})
}

// Scale has a template kept at n instances.
func (c *Client) Scale(ctx context.Context, name string, n int) error {
	return c.call(ctx, http.MethodPut, unitPath(name), nil, unit.Unit{Name: name, Instances: &n}, nil)
}

// Explain says why a unit is where it is, or why it is nowhere.
func (c *Client) Explain(ctx context.Context, name string) (schedule.Explanation, error) {
	var x schedule.Explanation
	return x, c.call(ctx, http.MethodGet, "explain/"+url.PathEscape(name), nil, nil, &x)
}

// PatchMachines changes the metadata of machines: all of it or nothing.
func (c *Client) PatchMachines(ctx context.Context, patches []Patch) error {
	return c.call(ctx, http.MethodPatch, "machines", nil, patches, nil)
}

func unitPath(name string) string { return "units/" + url.PathEscape(name) }

func machinePath(id string) string { return "machines/" + url.PathEscape(id) }

// pages reads a listing to its end. Where the snapshot that it was of is gone
// before, it begins again.
func pages[P, T any](ctx context.Context, c *Client, path string, query url.Values, of func(*P) ([]T, string)) ([]T, error) {
	if query == nil {
		query = url.Values{}
	}
	for {
		all, err := onePass(ctx, c, path, query, of)
		var e *Error
		if !errors.As(err, &e) || e.Code != http.StatusGone {
			return all, err
		}
	}
}

func onePass[P, T any](ctx context.Context, c *Client, path string, query url.Values, of func(*P) ([]T, string)) ([]T, error) {
	var all []T
	query.Del("nextPageToken")
	for {
		var p P
		at := url.URL{Path: path, RawQuery: query.Encode()}
		if err := c.call(ctx, http.MethodGet, at.String(), nil, nil, &p); err != nil {
			return nil, err
		}
		items, next := of(&p)
		all = append(all, items...)
		if next == "" {
			return all, nil
		}
		query.Set("nextPageToken", next)
	}
}

// call makes one call, sending in and reading out where they aren't nil.
func (c *Client) call(ctx context.Context, method, path string, h http.Header, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	res, err := c.do(ctx, method, path, h, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.endpoint, err)
	}
	return nil
}

// do sends a request. An answer that is an error becomes an *Error.
func (c *Client) do(ctx context.Context, method, path string, h http.Header, body io.Reader) (*http.Response, error) {
	var taken atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { taken.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	for k, v := range h {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.note("%s %s: %v", method, path, err)
		return nil, c.unreachable(ctx, err, taken.Load())
	}
	c.note("%s %s: %s", method, path, res.Status)
	if res.StatusCode < 400 {
		return res, nil
	}
	defer res.Body.Close()
	var f failure
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if json.Unmarshal(text, &f) != nil || f.Error == nil {
		f.Error = refuse(res.StatusCode, "%s answers %s", c.endpoint, res.Status)
	}
	return nil, f.Error
}

// unreachable says in the user's words that no answer came, though the call may
// have been taken.
func (c *Client) unreachable(ctx context.Context, err error, taken bool) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which for a Unix socket is made up
	}
	silent := false
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		err, silent = fmt.Errorf("no answer within %s", c.timeout), taken
	}
	return &UnreachableError{Endpoint: c.endpoint, Silent: silent, Err: err}
}

func (c *Client) note(format string, args ...any) {
	if c.trace != nil {
		fmt.Fprintf(c.trace, "debug: "+format+"\n", args...)
	}
}
