DROP TABLE performances;
DROP TABLE concerts;
DROP TABLE areas;
DROP TABLE seats;
DROP TABLE rows;
DROP TABLE sections;
DROP TABLE grades;
DROP TABLE venues;
