package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"

	"fleet/schedule"
)

// Etcd is the KV over etcd v3.
type Etcd struct {
	client  *clientv3.Client
	timeout time.Duration
	probe   string
}

// EtcdConfig says how to reach an etcd cluster.
type EtcdConfig struct {
	Endpoints []string // URLs: http, https, unix or unixs

	// The client's certificate and key and the authority that the servers'
	// certificates must come from, PEM files. The certificate is read again
	// with each connection, so that it may be renewed under a running daemon.
	CertFile, KeyFile, CAFile string

	Username, Password string

	// RequestTimeout bounds each call beside its own ctx; 0 means 5 s, which
	// lets etcd survive an election within one call.
	RequestTimeout time.Duration

	// ProbeKey is a key that this client may read, for Warnings; empty means
	// "/fleet/cluster".
	ProbeKey string
}

// How a dead connection is found. grpc-go pings no more often than every 10 s,
// but while something is unacknowledged it is the timeout that counts.
const (
	connKeepAlive        = 10 * time.Second
	connKeepAliveTimeout = 3 * time.Second
	requestTimeout       = 5 * time.Second
	probeKey             = "/fleet/cluster"
)

// reconnect is how a lost connection is made anew. A store that comes back gives
// every lease its full time again, and whoever isn't back by then is taken for
// lost: grpc-go's own pauses, of up to two minutes, would be far too long.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: 3 * time.Second,
}

// DialEtcd makes a client of the cluster. It does not wait for the cluster,
// unless there is a password, which the cluster must answer in time.
func DialEtcd(cfg EtcdConfig) (*Etcd, error) {
	tlsConfig, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = requestTimeout
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            cfg.Endpoints,
		TLS:                  tlsConfig,
		Username:             cfg.Username,
		Password:             cfg.Password,
		DialTimeout:          cfg.RequestTimeout,
		DialKeepAliveTime:    connKeepAlive,
		DialKeepAliveTimeout: connKeepAliveTimeout,
		MaxUnaryRetries:      1,
		DialOptions:          []grpc.DialOption{grpc.WithConnectParams(reconnect)},
		Logger:               zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", readError(err))
	}
	e := NewEtcd(client)
	e.timeout = cfg.RequestTimeout
	if cfg.ProbeKey != "" {
		e.probe = cfg.ProbeKey
	}
	return e, nil
}

// NewEtcd is the KV over a client that was made elsewhere. The client must
// have MaxUnaryRetries 1: one that sends a transaction twice can report the
// second answer, a condition that no longer holds, for a write that was done.
func NewEtcd(client *clientv3.Client) *Etcd {
	return &Etcd{client: client, timeout: requestTimeout, probe: probeKey}
}

// Close ends the connection. Calls and watches still under way fail.
func (e *Etcd) Close() error { return e.client.Close() }

func (cfg EtcdConfig) tls() (*tls.Config, error) {
	if cfg.CertFile == "" && cfg.KeyFile == "" && cfg.CAFile == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		text, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("etcd's certificate authority: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("etcd's certificate authority: %s holds no certificate", cfg.CAFile)
		}
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, errors.New("etcd's client certificate: both a certificate file and a key file are needed")
	}
	if cfg.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile); err != nil {
			return nil, fmt.Errorf("etcd's client certificate: %w", err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
			return &cert, err
		}
	}
	return config, nil
}

// Range implements KV.
func (e *Etcd) Range(ctx context.Context, r Range) (RangeResult, error) {
	if r.Key == "" {
		return RangeResult{}, fmt.Errorf("read: %w", errEmptyKey)
	}
	opts := []clientv3.OpOption{clientv3.WithRev(r.Revision), clientv3.WithLimit(r.Limit)}
	if r.End != "" {
		opts = append(opts, clientv3.WithRange(r.End))
	}
	if r.KeysOnly {
		opts = append(opts, clientv3.WithKeysOnly())
	}
	var res *clientv3.GetResponse
	err := e.retry(ctx, func(ctx context.Context) (err error) {
		res, err = e.client.Get(ctx, r.Key, opts...)
		return err
	})
	if err != nil {
		return RangeResult{}, fmt.Errorf("read %q: %w", r.Key, readError(err))
	}
	return RangeResult{
		Revision: res.Header.Revision, Pairs: pairs(res.Kvs), More: res.More, Store: storeID(res.Header),
	}, nil
}

// Txn implements KV.
func (e *Etcd) Txn(ctx context.Context, t Txn) (TxnResult, error) {
	if err := checkTxn(t); err != nil {
		return TxnResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	if err := e.unsendable(ctx); err != nil {
		return TxnResult{}, fmt.Errorf("transaction: %w", unavailable(err))
	}
	conds, then, otherwise := clientConds(t.If), clientOps(t.Then), clientOps(t.Else)
	res, err := e.client.Txn(ctx).If(conds...).Then(then...).Else(otherwise...).Commit()
	if tokenExpired(err) { // refused unseen; the client has a new token now
		res, err = e.client.Txn(ctx).If(conds...).Then(then...).Else(otherwise...).Commit()
	}
	if err != nil {
		return TxnResult{}, fmt.Errorf("transaction: %w", writeError(err))
	}
	result := TxnResult{
		Succeeded: res.Succeeded, Revision: res.Header.Revision, Store: storeID(res.Header),
		Pairs: make([][]Pair, len(res.Responses)),
	}
	for i, r := range res.Responses {
		result.Pairs[i] = pairs(r.GetResponseRange().GetKvs())
	}
	return result, nil
}

// unsendable returns why a request can't even be sent, as far as that is
// certain.
func (e *Etcd) unsendable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.client.ActiveConnection().GetState() == connectivity.TransientFailure {
		return errors.New("no endpoint of etcd can be reached")
	}
	return nil
}

// Compact discards the history before rev, as etcd itself does now and then.
func (e *Etcd) Compact(ctx context.Context, rev int64) error {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	if _, err := e.client.Compact(ctx, rev, clientv3.WithCompactPhysical()); err != nil {
		return fmt.Errorf("compact to revision %d: %w", rev, readError(err))
	}
	return nil
}

func clientConds(conds []Cond) []clientv3.Cmp {
	cmps := make([]clientv3.Cmp, 0, len(conds))
	for _, c := range conds {
		target := clientv3.ModRevision(c.Key)
		if c.Create {
			target = clientv3.CreateRevision(c.Key)
		}
		rel := "="
		switch c.Rel {
		case Less:
			rel = "<"
		case Greater:
			rel = ">"
		case Unequal:
			rel = "!="
		}
		cmps = append(cmps, clientv3.Compare(target, rel, c.Value))
	}
	return cmps
}

func clientOps(ops []Op) []clientv3.Op {
	var out []clientv3.Op
	for _, op := range ops {
		var opts []clientv3.OpOption
		if op.End != "" {
			opts = append(opts, clientv3.WithRange(op.End))
		}
		switch {
		case op.Put != "":
			out = append(out, clientv3.OpPut(op.Put, string(op.Value), clientv3.WithLease(clientv3.LeaseID(op.Lease))))
		case op.Delete != "":
			out = append(out, clientv3.OpDelete(op.Delete, opts...))
		default:
			out = append(out, clientv3.OpGet(op.Get, opts...))
		}
	}
	return out
}

func pairs(kvs []*mvccpb.KeyValue) []Pair {
	if len(kvs) == 0 {
		return nil
	}
	out := make([]Pair, len(kvs))
	for i, kv := range kvs {
		out[i] = pair(kv)
	}
	return out
}

func pair(kv *mvccpb.KeyValue) Pair {
	return Pair{
		Key: string(kv.Key), Value: kv.Value, Lease: LeaseID(kv.Lease),
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision,
	}
}

func storeID(h *pb.ResponseHeader) StoreID {
	return StoreID{ClusterID: h.GetClusterId(), RaftTerm: h.GetRaftTerm()}
}

var _ KV = (*Etcd)(nil)

var errNoAnswer = fmt.Errorf("%w: etcd has fallen silent", schedule.ErrUnavailable)
