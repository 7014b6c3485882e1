"""A made-up handbook and questions in other words than its own: `handbook/*.md` beside this file, and the lists here.

The questions were written before anything was tuned on them. `TUNED` may be looked at while choosing thresholds, `HELD`
is only for measuring. A question's second part stands word for word in the passage that answers; None: no passage does.
"""

from pathlib import Path

FOLDER = Path(__file__).with_name("handbook")

Asked = tuple[str, str | None]

TUNED: tuple[Asked, ...] = (
    ("how much vacation do I get?", "28 days of paid leave"),
    ("how do I call in sick?", "Tell your line manager before 9:30"),
    ("when do I get my wages?", "on the 25th of each month"),
    ("I forgot my password, what now?", "id.northwind.example"),
    ("can I bring my puppy to work?", "Dogs are welcome"),
    ("what does the firm pay for a night in a hotel?", "up to €140 a night"),
    ("how do I get my money back for a client lunch?", "Submit receipts within 30 days"),
    ("may I do home office?", "Up to three days a week"),
    ("my notebook was stolen", "Report damage or theft"),
    ("who do I talk to about bullying?", "Judith Okafor"),
    ("do we get a raise every year?", "reviewed every March"),
    ("how long am I on trial?", "first six months"),
    ("how many people fit in Borealis?", "12"),
    ("when does Lyon shut in the evening?", "19:00"),
    ("where do we meet when there's a fire?", "lawn opposite the"),
    ("can I take a year out?", "unpaid break of up to six months"),
    ("my father died, do I get time off?", "Three paid days"),
    ("do I need a doctor's note?", "medical certificate"),
    ("how do I get a colleague hired and what do I earn from it?", "€1,500"),
    ("where can I leave my bike?", "Bicycles are kept"),
    ("I got a weird e-mail with a file, what should I do?", "phishing@northwind.example"),
    ("petrol money for my own car", "€0.30 per kilometre"),
    ("can I take a plane to Munich?", "Flights are permitted only"),
    ("will I be paid for extra hours?", "compensated by time off"),
    ("how do new people start?", "meet their buddy"),
    # nothing in the handbook answers these
    ("what is the wifi password for guests?", None),
    ("who won the football match yesterday?", None),
    ("do we have a gym?", None),
    ("what is our market share in Asia?", None),
    ("how do I set up the coffee machine?", None),
    ("what's the dress code?", None),
    ("when was the company founded?", None),
    ("how do I boil an egg?", None),
    ("which health insurance does the company offer?", None),
    ("what's the CEO's phone number?", None),
    ("do we get a christmas bonus?", None),
    ("who is the president of France?", None),
)

HELD: tuple[Asked, ...] = (
    ("how many days off can I take per year?", "28 days of paid leave"),
    ("can I keep my leftover holidays for next year?", "carried over until 31 March"),
    ("I'm ill today, who should know?", "Tell your line manager before 9:30"),
    ("we're having a baby, how long can I stay at home?", "16 weeks at full pay"),
    ("when is payday?", "on the 25th of each month"),
    ("does the company put money aside for retirement?", "matches contributions"),
    ("will they pay for my bus pass?", "half of the monthly cost"),
    ("can I go to a conference at the company's cost?", "€1,200 a year"),
    ("what can I spend on dinner on a business trip?", "up to €45 a day"),
    ("who can help with my broken computer?", "service desk"),
    ("how do I log in from home?", "VPN client"),
    ("how do I get photoshop on my laptop?", "self-service catalogue"),
    ("when do I get a newer laptop?", "renewed every four years"),
    ("I typed my password wrong too often", "locked for 30 minutes"),
    ("which room holds a workshop of 25 people?", "Comet"),
    ("what time can I get into the Porto building?", "8:30"),
    ("a customer is coming by, what do I have to do?", "Guests are registered"),
    ("can I park here?", "20 spaces in the basement"),
    ("I lost my umbrella in the building", "Found objects are kept"),
    ("can I work from Spain for a month?", "limited to 20 days"),
    ("when do I have to be at my desk?", "reachable from 10:00 to 15:00"),
    ("how do I quit?", "three months to the end of a quarter"),
    ("am I allowed to have a second job?", "side job must be notified"),
    ("a reporter called me", "passed on to the communications team"),
    ("someone cut their hand, who can help?", "Tomasz Nowak"),
    ("I fell on my way to the office", "reported to HR within 24 hours"),
    ("my back hurts from sitting", "height-adjustable desk"),
    ("how do I print something?", "follow-me"),
    # nothing in the handbook answers these
    ("what's for lunch in the canteen today?", None),
    ("what's the weather in Hamburg tomorrow?", None),
    ("how many customers do we have?", None),
    ("can I get stock options?", None),
    ("who cleans the kitchen?", None),
    ("what is our policy on tattoos?", None),
    ("how do I change the tyres of a car?", None),
    ("who designed our logo?", None),
    ("do we sponsor visas?", None),
    ("what's the capital of Mongolia?", None),
    ("how do I file a patent?", None),
    ("when is the summer party?", None),
)

# About Atelier itself: its guide answers, also where a team's documents are in.
ABOUT: tuple[Asked, ...] = (
    ("which file types can Atelier read?", "Markdown, plain text, HTML, PDF"),
    ("how do I add documents to Atelier?", "atelier ingest"),
    ("where does Atelier keep my data?", "In the home folder"),
    ("can Atelier speak Chinese?", "The default encoder knows English"),
    ("how do I make Atelier forget me?", "/forget yes"),
    ("which brainstorming techniques do you know?", "SCAMPER"),
)
