// Chat is a chat server small enough to read: it keeps messages in memory, knows
// no passwords, and asks sidegate before it hands a message over. It belongs to
// the tutorial and is for learning only.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"sync"
	"time"
)

// message is a message as its readers see it.
type message struct {
	From string `json:"from"`
	Text string `json:"text"`
	Room string `json:"room,omitempty"`
	Push bool   `json:"push"` // whether the reader's phone rang
}

// decision is what sidegate answers, and an item of a fan-out.
type decision struct {
	Index   int    `json:"index"`
	Deliver *bool  `json:"deliver"` // missing: there is none
	Notify  bool   `json:"notify"`
	Action  string `json:"action"`
	Reason  string `json:"reason"`
}

// chat is the server. Its sidegate is at the address sidegate.
type chat struct {
	sidegate string
	client   http.Client

	mu      sync.Mutex
	inboxes map[string][]message
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where to serve")
	sidegate := flag.String("sidegate", "http://127.0.0.1:7070", "the check listener of sidegate")
	flag.Parse()
	c := &chat{sidegate: *sidegate, inboxes: map[string][]message{}}
	c.client.Timeout = 2 * time.Second // a toy can wait; a real server allows 20 ms
	http.HandleFunc("POST /send", c.send)
	http.HandleFunc("POST /rooms/{room}/send", c.sendToRoom)
	http.HandleFunc("GET /inbox/{user}", c.inbox)
	log.Fatal(http.ListenAndServe(*listen, nil))
}

// send takes a message of one user to another.
func (c *chat) send(w http.ResponseWriter, r *http.Request) {
	var in struct{ From, To, Text string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var d decision
	err := c.ask(r.Context(), "/v1/can-deliver", map[string]any{
		"sender": in.From, "recipient": in.To, "room_type": "direct",
	}, &d)
	if err != nil || d.Deliver == nil {
		// Nobody can say; rather be asked again than deliver what should not be.
		http.Error(w, "try again in a moment", http.StatusServiceUnavailable)
		return
	}
	if d.Action == "reject" {
		http.Error(w, in.To+" does not take messages from you", http.StatusForbidden)
		return
	}
	c.keep(in.From, message{From: in.From, Text: in.Text})
	if *d.Deliver {
		c.keep(in.To, message{From: in.From, Text: in.Text, Push: d.Notify})
	}
	fmt.Fprintln(w, "sent") // also when it was dropped: that is the point
}

// sendToRoom takes a message to all others who are named, with one question.
func (c *chat) sendToRoom(w http.ResponseWriter, r *http.Request) {
	var in struct {
		From, Text string
		Members    []string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var out struct{ Exceptions []decision }
	err := c.ask(r.Context(), "/v1/can-deliver/fanout", map[string]any{
		"sender": in.From, "recipients": in.Members, "room_type": "group",
	}, &out)
	if err != nil {
		http.Error(w, "try again in a moment", http.StatusServiceUnavailable)
		return
	}
	exceptions := map[int]decision{} // whoever is not in it gets the message and a push
	for _, d := range out.Exceptions {
		exceptions[d.Index] = d
	}
	for i, member := range in.Members {
		d, is := exceptions[i]
		if is && (d.Deliver == nil || !*d.Deliver) {
			continue
		}
		c.keep(member, message{From: in.From, Text: in.Text, Room: r.PathValue("room"), Push: !is || d.Notify})
	}
	fmt.Fprintln(w, "sent")
}

// ask puts a question to sidegate.
func (c *chat) ask(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.sidegate+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("sidegate answers %s", response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

func (c *chat) keep(user string, m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inboxes[user] = append(c.inboxes[user], m)
}

func (c *chat) inbox(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.inboxes[r.PathValue("user")] {
		_ = json.NewEncoder(w).Encode(m) // the reader may have gone
	}
}
