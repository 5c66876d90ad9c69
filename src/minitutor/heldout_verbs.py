"""What may follow each of the twenty verbs in the held-out sentences.

Phrases are separated by ``|``. ``{p}`` is the subject's possessive, ``{n}`` a name, ``{c}`` a town. A phrase with
letters before a colon fits only some surroundings:

* after *to*: ``w`` want or would like, ``v`` want only, ``p`` plan or hope, ``d`` need or have, ``l`` like or love,
  ``t`` try, ``s`` seem;
* after *have*: ``n`` never or ever, ``a`` already, just or yet, ``s`` for years, ``r`` for days, ``z`` not since,
  ``p`` complete as it is; a capital means the subject is neither speaker nor hearer;
* gap questions: ``p`` present, ``a`` past, ``f`` future, ``x`` perfect, ``i`` after *to*; question word, then the rest.
"""

from __future__ import annotations

from typing import Final

HABIT: Final = {
    "work": "in the garden|with {n}|in {p} uncle's bakery|from home|late|at reception|in the library",
    "play": "tennis with {n}|chess in the park|the violin in a small orchestra|football behind the school|"
    "cards with {p} grandfather|computer games",
    "walk": "to work|to school with {n}|along the river|the dog|home from the station|around the lake",
    "talk": "to {n} on the phone|about football|to the customers|about money at dinner|to {p} plants|"
    "with {n} on video calls",
    "listen": "to podcasts on the bus|to the radio in the kitchen|to {p} grandmother's stories|to old records|"
    "to audiobooks in bed|to the news in English",
    "watch": "cartoons|the news|old films with {n}|football at the café|cooking shows in English|videos about trains",
    "study": "in the library|with {n}|for {p} driving test|French grammar|after lunch|on the train",
    "finish": "work at 5:45|{p} homework before dinner|late|{p} shift at noon|lunch before the others|everything on "
    "time",
    "start": "work at 7:15|the day with yoga|dinner without {n}|{p} shift at noon|the morning with a cold shower",
    "look": "at {p} phone in bed|after {n}'s cat|for cheap flights online|out of the window at work|at the stars|"
    "after {p} little cousins",
    "want": "pizza for dinner|a seat by the window|to sleep until noon|an ice cream after lunch|a second coffee|"
    "pancakes for breakfast",
    "like": "",
    "be": "late for class|busy with {p} homework|in a good mood|at the gym|tired after work|hungry by noon",
    "have": "breakfast in bed|lunch with {n}|piano lessons|a meeting with the manager|a nap after lunch|fish for "
    "dinner",
    "do": "the shopping with {n}|{p} homework in the kitchen|yoga on the roof|the washing-up|crosswords in bed|"
    "the cooking",
    "go": "to the market with {n}|swimming|to bed at 10:45|home by bus|to the gym|fishing at the lake|"
    "to {p} grandmother's for lunch",
    "come": "home late|to class by bike|to the café with {n}|here for lunch|to work by tram|over for tea",
    "see": "{n} at the bus stop|the same man on the tram|{p} cousins|foxes in the garden|the sunrise from the train|"
    "{p} friends at the gym",
    "eat": "soup for lunch|at the Café Miró|a banana before training|curry for dinner|dinner with {n}|"
    "porridge for breakfast|sandwiches at {p} desk",
    "write": "to {n}|in {p} diary|letters by hand|poems|emails in English|postcards to {p} aunt",
}
STATE: Final = {
    "work": "for Zumoro|as a nurse|at Hotel Lindqvist|part-time in a bakery|in a small bank|as a tour guide in {c}",
    "play": "the drums in a band called Blue Teapot|for a team in {c}|in goal for the school team",
    "walk": "with a stick|ten kilometres a day|to the office with {n}",
    "talk": "very fast|too much about politics|like a professor",
    "listen": "to a podcast called Blue Teapot|to a lot of Korean music|to the local radio station",
    "watch": "a lot of Korean series|a series about Vikings|the same show as {n}",
    "study": "medicine in {c}|at a school near the harbour|law|Japanese|history at university",
    "finish": "school at half past three|work an hour earlier|work at the same time as {n}",
    "start": "work at 6:45|school at nine|work before the boss",
    "look": "tired|just like {p} grandfather|very well|after three dogs|much better",
    "want": "a new phone|a job at Zumoro|to move to {c}|a bigger kitchen|a cat|a part-time job|a room near {c}",
    "like": "spicy food|jazz|the new tram|long walks|dogs|films with subtitles|cold weather|black coffee|"
    "the old part of {c}|{n}'s cooking|early mornings",
    "be": "in Terminal 2|at gate C-12|very busy|in {c} with {n}|on holiday|ill|ready for the exam|too tired to cook|"
    "in room 12|angry with {n}",
    "have": "a parrot called Mango|two jobs|a flat in {c}|a cold|a new boss|a lot of exams|an old Velotti bicycle|"
    "a key to the office",
    "do": "a course in {c}|karate|the same exercises as {n}|the accounts for Zumoro",
    "go": "to a school near the harbour|to a dance class in {c}|to work by tram|to the gym with {n}",
    "come": "to the chess club with {n}|to school by taxi|here alone|to work by ferry",
    "see": "{p} grandparents more often|a doctor in {c}|a lot of tourists here|a physiotherapist",
    "eat": "meat|gluten-free bread|lunch with {n}|at the canteen",
    "write": "for a newspaper in {c}|a blog about bees|short stories|with {p} left hand|songs for Blue Teapot",
}
EVENT: Final = {
    "work": "late at the office|in {p} aunt's shop|on the budget with {n}|from home|in the garden with {n}|"
    "a double shift|at the fish market",
    "play": "tennis with {n}|cards on the train|chess against {n}|football on the beach|the guitar at {n}'s wedding|"
    "a board game called Zumoro|volleyball in the gym",
    "walk": "to the castle|home with {n}|across the old bridge|12 kilometres along the coast|to the market with {n}|"
    "up the hill behind the church|from the station to Hotel Lindqvist",
    "talk": "to the doctor|to {n} about the rent|about {p} holiday plans|to the head teacher|"
    "with {n} for half an hour|to the driver about the £20 fine|to a man from Zumoro",
    "listen": "to the concert on the radio|to {n}'s new song|to the whole album|to a talk about bees|"
    "to the match on the radio|to {p} old voice messages|to the songs from {n}'s show",
    "watch": "a film about bees|the match at {n}'s place|the fireworks from the roof|the last episode of Blue Teapot|"
    "a play in {c}|the parade from the balcony|two films in a row",
    "study": "for the maths test|irregular verbs with {n}|with {n} at the library|chapter 7|for the history exam|"
    "the new words for the Polish exam|the map of {c}",
    "finish": "the report for {n}|{p} homework|the 900-page novel|the puzzle|the marathon in {c}|"
    "{p} essay about bees|the last exercise",
    "start": "a new job|a blog about bees|the course in {c}|guitar lessons|a small business|a diet|a band with {n}",
    "look": "for a present for {n}|at the old photos with {n}|after {n}'s baby|at two flats in {c}|"
    "for information about {c}|for shells on the beach|very elegant at the party",
    "want": "a motorbike|a job at Zumoro|a bigger flat in {c}|to learn Polish|a dog|to study music|to sell the car",
    "like": "the flat in {c}|the new boss|the food at the Café Miró|the idea|the house by the canal|"
    "{n}'s cooking|that song by Blue Teapot|the quiet streets of {c}",
    "be": "at the cinema with {n}|late for the meeting|in {c}|at home alone|in the library with {n}|at the dentist's|"
    "on the 9:40 train|nervous about the test|in room 12|on a boat near {c}",
    "have": "a picnic by the river|a long talk with {n}|a party on the roof|a job interview at Zumoro|"
    "lunch at the Café Miró|a meeting in {c}|a piano lesson|tea with {n}|a barbecue on the beach",
    "do": "the washing-up|{p} homework on the bus|a science project with {n}|the shopping at the new market|"
    "a yoga class in the park|the ironing|a first-aid course|a crossword with {n}",
    "go": "to the zoo|to {c} by train|to the dentist|to the beach with {n}|home early|to a concert in {c}|"
    "camping near {c}|to the supermarket for milk|to bed late|to the Café Miró|shopping with {n}|"
    "to gate C-12 with {n}|out for pizza|to a job interview at Zumoro|to {n}'s birthday party|"
    "cycling with {p} cousins|to the library with {n}|to Terminal 2 by taxi|on a trip to {c}|"
    "for a walk along the canal|to the cinema with {n}",
    "come": "home very late|to the party with {n}|to {c} by plane|to the meeting with a lawyer|"
    "to the school concert|over for dinner|back from {c}|to the office by taxi|here on foot|to the lesson with {n}",
    "see": "{n} at the airport|the doctor about {p} knee|a play in {c}|the castle|a musical with {n}|"
    "{p} cousins in {c}|the film about bees|the manager about the £20 fine",
    "eat": "pizza with {n}|too much cake|at the Café Miró|a whole melon|the last biscuit|fish and chips by the sea|"
    "dumplings in {c}|{p} sandwiches on the train|a £20 burger|snails in a French restaurant",
    "write": "a long email to {n}|a postcard to {p} aunt|three pages|a poem about {c}|"
    "a letter to Zumoro about the £20 fine|a report on the accident|the shopping list|a song for {n}'s birthday|"
    "two job applications|a note to the landlord",
}
AFTER_TO: Final = {
    "work": "wp:abroad for a year|wp:for Zumoro|d:on Sunday|d:until 7:30 in the evening|wl:from home|d:with {n} on "
    "the report|"
    "t:faster than {n}",
    "play": "wl:the piano|w:in a real band|wl:chess with {n}|d:in goal on Saturday|l:basketball after work|"
    "t:the guitar with {p} left hand|p:tennis in {c}",
    "walk": "wl:along the beach|d:home in the dark|d:to the next bus stop|wl:in the mountains|t:10,000 steps a day|"
    "wp:across the new bridge|d:the dog before school",
    "talk": "d:to the manager|wd:to {n} in private|wl:about music|d:about the rent|t:more slowly|"
    "w:to the doctor about {p} back|p:at a conference in {c}",
    "listen": "d:to the teacher|wl:to music in the dark|d:to both sides of the story|t:to the news in English|"
    "w:to that song again|d:to {p} doctor|p:to all 12 episodes",
    "watch": "wp:the final at home|wl:horror films|wl:the sunset from the roof|d:the safety video|"
    "t:films without subtitles|w:the boats in the harbour",
    "study": "wp:medicine in {c}|wp:abroad|d:for the exam on 14 March|d:harder|l:in cafés|t:for two hours a day|"
    "wp:art history",
    "finish": "wd:the project by Friday|d:the report before 4:15|wd:this chapter first|t:everything on time|"
    "p:university|p:the translation of a novel|d:the translation for {n}",
    "start": "wp:a new life in {c}|wp:a small business|d:the meeting at 10:15|d:again from the beginning|w:a diet|"
    "wp:Polish lessons|t:the old car|l:the day with a swim",
    "look": "d:after {p} little cousin|w:at the menu first|d:for a cheaper flat|wp:for a flat in {c}|"
    "t:on the bright side|d:up every second word|vt:older|t:calm",
    "want": "s:more and more things|s:a different job every week|s:the same things as {n}|s:a quiet life|"
    "d:it more than the others|d:the job badly enough|d:the prize more than {n}|s:a change|d:it too|"
    "s:the window seat|s:only sweets",
    "like": "vt:opera|vt:the new school|vt:green vegetables|t:the cold|t:{n}'s music|s:the new flat|s:it here|"
    "s:Mondays|s:the food in {c}|v:the book by {n}",
    "be": "v:famous|d:at gate C-12 by 6:20|d:on time|w:in {c} by noon|p:in the school play|t:polite to the guests|"
    "d:careful with the old vase|l:alone in the evening|s:happy in {c}|w:taller than {n}|wp:at the concert in {c}",
    "have": "w:a big garden|w:a dog|d:a passport|d:a visa for the trip|wl:dinner outside|w:a quiet weekend|"
    "t:breakfast before eight|p:a small wedding in {c}|s:a cold",
    "do": "d:the laundry|wp:a course in {c}|d:exercise 4 again|t:{p} best|wl:yoga in the park|"
    "d:the shopping before noon|w:more for the environment",
    "go": "wp:to {c}|d:to the bank|d:home before dark|wl:out with {n}|t:to bed before 10:30|wp:to university|d:to the "
    "police|"
    "l:for a run before breakfast",
    "come": "w:to the party|w:with {n}|d:back before 9:15|d:to the office on Monday|t:on time|wp:back to {c}|"
    "l:here alone",
    "see": "wp:the old town|d:a doctor|wp:{n} again|w:the manager|d:the dentist about a tooth|t:both sides|"
    "w:the northern lights|l:{p} friends at the weekend",
    "eat": "wl:outside|d:more fruit|w:at the new Korean place|t:less sugar|d:before the flight|"
    "w:the rest of the cake|wp:dumplings in {c}|l:breakfast in the garden",
    "write": "wp:a novel|d:an essay by 14 March|d:the address again|l:songs|w:to {n}|t:with {p} left hand|"
    "d:{p} name on the form|wp:a book about {c}",
}
AFTER_HAVE: Final = {
    "work": "n:in a restaurant|n:at night|s:at Hotel Lindqvist|s:for Zumoro|s:as a nurse|p:very hard this week|"
    "p:with {n} on three projects so far|z:on a Sunday",
    "play": "n:golf|n:in a big stadium|z:chess|s:the cello|s:for the same team|p:in 15 matches this season|"
    "p:three games of cards so far|a:the first song",
    "walk": "n:that far|n:through the old town at night|p:more than 30 kilometres this week|"
    "p:to work every day this month|a:the dog|n:barefoot in the snow|s:with a stick|z:to work",
    "talk": "n:to a famous person|n:about {p} childhood|a:to {n} about it|a:to the landlord|"
    "p:to three experts this week|p:to {n} twice this month|z:to {n}|r:about nothing else",
    "listen": "n:to opera|n:to a whole audiobook|a:to the recording|a:to all 12 episodes|"
    "p:to this song a hundred times|p:to four podcasts today|z:to the radio|s:to the same radio station",
    "watch": "n:a horror film|n:a cricket match|a:the first season|a:that video|p:three documentaries this week|"
    "p:this film five times|z:TV|s:the same evening news",
    "study": "n:Latin|n:at night|a:the first five chapters|a:the map|s:law|s:Japanese|p:really hard this week|"
    "p:all 30 words on the list|z:maths",
    "finish": "a:{p} homework|a:the test|a:the book about {c}|n:a marathon|n:a 1,000-piece puzzle|"
    "p:four of the six exercises so far|p:two books this week|z:a single book",
    "start": "a:the new book|a:lunch|n:a business|n:a fight|p:two new courses this month|p:three blogs so far|"
    "a:the second chapter|z:a new project",
    "look": "a:at the map|a:through the documents|n:after a baby|n:inside that box|p:at six flats so far|"
    "p:for the key in every room|r:tired|s:after the garden",
    "want": "s:a dog|s:a motorbike|s:to visit {c}|s:a bigger flat|n:a car|n:to live abroad|n:to be famous|s:this job|"
    "n:a job in {c}|s:a house near {c}",
    "like": "s:jazz|s:spicy food|s:this town|n:coffee|n:big cities|n:Mondays|p:every lesson so far|s:trains|"
    "p:all the teachers so far|n:the food in {c}|s:the music of {c}",
    "be": "n:to {c}|n:in a helicopter|n:late for work|r:ill|s:in {c}|s:married|r:on holiday|"
    "p:to the dentist twice this month|p:very quiet today|a:to the bank|p:in hospital three times this year",
    "have": "r:a cold|r:a headache|s:the same bicycle|s:a cat|n:a car|n:a pet|a:lunch|p:two coffees so far today|"
    "p:three interviews this week",
    "do": "a:the dishes|a:{p} homework|a:the shopping for the party|n:yoga|n:a handstand|p:12 exercises so far|"
    "p:a lot for the school this year|s:karate|z:the ironing",
    "go": "A:home|A:to bed|A:to the airport|A:out with {n}|p:the wrong way again|n:skiing|n:camping|n:on a cruise|"
    "p:over all the answers twice|a:through the list|p:swimming four times this week|p:to bed early all week|z:skiing",
    "come": "a:back from {c}|A:home|n:to work by bike|n:to a single meeting|p:a long way today|"
    "p:to every lesson this term|p:all the way from {c} today|z:to the club|n:here at night|a:to a decision",
    "see": "n:snow|n:a whale|n:the northern lights|a:that film|a:the photos from {c}|p:{n} twice this week|"
    "p:five foxes so far|z:{n}|z:a doctor",
    "eat": "n:octopus|n:at the Café Miró|a:lunch|a:all the biscuits|p:three sandwiches today|p:too much today|"
    "z:meat|z:chocolate|n:with chopsticks",
    "write": "n:a love letter|n:a poem|a:to the bank|a:the introduction|p:four pages so far|"
    "p:two emails to {n} today|z:to {n}|s:for the same newspaper|a:{p} CV",
}
GAPS: Final = {
    "work": "pafxi:Where:|pafx:Who:with|paf:Who:for",
    "play": "paf:Where:tennis|pafxi:Who:with|paf:Which song:first|x:Which song:three times",
    "walk": "pafi:Where:with the dog|pafx:How far:|paf:Who:home with",
    "talk": "pafxi:Who:to|pafxi:What:about|af:How long:for",
    "listen": "pafxi:What:to|pafxi:Which podcast:to|paf:Which station:to",
    "watch": "pafx:What:on TV|afxi:Which film:|afi:Where:the final",
    "study": "pafxi:What:|pafxi:Where:|pafx:Who:with",
    "finish": "paf:When:work|afi:When:the report|paf:What time:|x:Which exercises:|x:How many pages:",
    "start": "paf:What time:work|afi:When:the course|paf:When:school|x:How many courses:|x:What:without {n}",
    "look": "pafi:What:at first|pafx:Who:after|afi:Where:for the key|x:What:at so far",
    "want": "paf:What:for {p} birthday|pa:What:from {n}|f:What:for dessert|x:How long:a dog|x:How long:this job",
    "like": "pa:What:about {c}|pa:Which song:best|paf:Which room:best|x:Which part:best so far|x:How long:jazz",
    "be": "paf:Where:|pa:Why:so quiet|pa:Who:with|x:How long:in {c}|x:Where:all day|f:When:back|i:Where:at noon|"
    "pa:How:after the accident",
    "have": "pafxi:What:for lunch|paf:What time:dinner|pafi:Where:lunch|x:How many lessons:so far",
    "do": "pafi:What:after school|pafx:What:about the noise|x:How many exercises:so far|paf:What:with the old bread",
    "go": "pafi:Where:after school|afi:Where:with {n}|paf:How:to {c}|X:Where:without {n}|X:Where:so late",
    "come": "paf:How:to work|paf:When:home|afi:Who:with|x:Why:so early|x:How far:today",
    "see": "pafx:Who:at the gym|af:Which film:with {n}|i:What:in {c}|paf:What:through the telescope",
    "eat": "pafxi:What:for lunch|afi:Where:with {n}|pa:Why:so fast|paf:Where:",
    "write": "pafxi:What:about|pafxi:Who:to|i:What:on the card",
}
THINGS: Final = {
    "start": (
        "the film|the lesson|the match|it",
        "the films|the lessons|the matches",
        "at 8:30|at half past nine|at 19:15",
    ),
    "finish": (
        "the show|the exam|the meeting|it",
        "the shows|the exams|the meetings",
        "at 10:45|at half past four|before noon",
    ),
    "come": ("the bus|the tram|the post", "the buses|the trams|the parcels", "at 8:30|very late|before noon"),
    "have": (
        "the hotel|the museum|the school",
        "the hotels|the museums|the schools",
        "a lot of visitors|a special event",
    ),
    "be": ("the shop|the café|the pool|it", "the shops|the cafés|the pools", "closed|open until 9:30|full of tourists"),
    "look": ("the garden|the town|the kitchen|it", "the gardens|the streets|the rooms", "beautiful|very clean|empty"),
}
